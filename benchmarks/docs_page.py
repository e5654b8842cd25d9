"""Tables in pages of the documentation: what stands between two markers is written by a command."""

from pathlib import Path

from pcan_pose.atomic import atomic_write
from pcan_pose.errors import DataError

RESULTS = Path(__file__).parents[1] / "docs" / "results.md"


def page_to_fill(name: str, docs: Path | None, out: Path, recorded: Path, *, changed: bool = False) -> Path:
    """Return the page to write a table into, which is there and has room for it.

    Args:
        name: What stands in its markers.
        docs: The page that was asked for; None is the project's own, of the recorded results alone.
        out: Where the results lie.
        recorded: Where the recorded results lie.
        changed: Whether the results are asked for with other settings.

    Raises:
        DataError: If other results would get into the project's own page, or the page does not have the markers.
    """
    if docs is None and (out != recorded or changed):
        raise DataError(f"--write-docs: {RESULTS.name} shows {recorded}, as it is; name another page with --docs.")
    page = docs or RESULTS
    section(page, name)
    return page


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
