"""The documentation: its code runs and gives what it says, its links lead somewhere."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
REPOSITORY = "https://(github.com/stnref/stnref/blob|raw.githubusercontent.com/stnref/stnref)/main/"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


WITH_CODE = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", WITH_CODE, ids=_names(WITH_CODE))
def test_code_runs_from_top_to_bottom_and_prints_what_the_page_shows(page: Path) -> None:
    """Blocks of one page share their names; a text block after code is what that code prints."""
    names: dict[str, object] = {}
    printed, shown = "", ""
    for language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, str(page), "exec"), names)  # the pages are our own
            printed = out.getvalue()
        elif language == "text" and printed:
            shown = body
            assert printed == shown
            printed = ""


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(
        r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$",
        "",
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for link in links:
        here = re.sub(REPOSITORY, f"{ROOT}/", link)  # the README's are absolute
        if here != link:
            assert Path(here.split("#")[0]).exists(), f"{page.name}: {link}"
        if "://" not in link and not link.startswith("#"):
            target = (page.parent / link.split("#")[0]).resolve()
            assert target.exists(), f"{page.name}: {link}"
