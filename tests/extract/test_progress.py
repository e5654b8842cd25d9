import io

import pytest
from rich.console import Console

from pcan_extract.progress import ProgressReport


@pytest.mark.parametrize("terminal", [True, False])
def test_progress(terminal):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, color_system=None)
    with ProgressReport("extract", 2, console) as progress:
        progress.clip_done(10, failed=False)
        progress.clip_done(0, failed=True)
    text = file.getvalue()
    assert "2/2" in text and "1 failed" in text and "eta" in text
    assert terminal or text.startswith("extract: 2/2 clips, ")


def test_no_console_is_silent(capsys):
    with ProgressReport("extract", 1, None) as progress:
        progress.clip_done(10, failed=False)
    assert capsys.readouterr() == ("", "")
