"""Tables in pages of the documentation: what stands between two markers is written by a command."""

from pathlib import Path

from pcan_pose.atomic import atomic_write
from pcan_pose.errors import DataError

RESULTS = Path(__file__).parents[1] / "docs" / "results.md"


def fill(page: Path, name: str, content: str) -> None:
    """Write Markdown between a name's markers; the rest of the page stays.

    Raises:
        DataError: If the page cannot be read, or does not have both markers, once and in order.
    """
    before, _, after = _parts(page, name)
    start, end = _markers(name)
    with atomic_write(page) as temporary:
        temporary.write_text(f"{before}{start}\n\n{content}\n\n{end}{after}", encoding="utf-8")


def section(page: Path, name: str) -> str:
    """Return the Markdown between a name's markers.

    Raises:
        DataError: If the page cannot be read, or does not have both markers, once and in order.
    """
    return _parts(page, name)[1].strip()


def _parts(page: Path, name: str) -> tuple[str, str, str]:
    start, end = _markers(name)
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{page}: cannot be read ({error.strerror or error}).") from error
    before, found, rest = text.partition(start)
    inside, closed, after = rest.partition(end)
    if not found or not closed or start in inside + after or end in before + after:
        raise DataError(f"{page}: expected the markers '{start}' and '{end}', once and in this order.")
    return before, inside, after


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- end of {name} -->"
