"""Build the site: ``make docs``, then open build/site/index.html. It is read without a network.

The pages of ``docs/`` and the notebooks are taken as they are. Made from the code are a page for
each room out of the docstrings, and for each file of the core a page with the equations beside the
lines that compute them, found by the tags in the code.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import stnref

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "build" / "site-source"
SITE = ROOT / "build" / "site"
HOME = "https://github.com/stnref/stnref/blob/main/"
KATEX = "katex@0.16.22"
"""What sets the mathematics."""

CORE = (
    *("coordinates", "transforms.affine", "transforms.projective", "transforms.basis"),
    *("transforms.flow", "transforms.algebra", "kernels", "padding", "taps", "sampler", "splat"),
    *("spatial_transformer", "loops"),
)
"""The files with an annotated page, in the order in which they are best read."""

STAGED = ("docs", "notebooks")
"""Folders whose pages are pages of the site."""

FENCE = re.compile(r"^```math\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
TAG = re.compile(r"\\tag\{(\w+)\}")
CODE_TAG = re.compile(r"#.*?\b([A-Z]\d+)\b")
LINK = re.compile(r"\]\(((?:\.\./)*)([\w./-]+?)(#[\w-]+)?\)")

INDEX = """\
# stnref

The reference implementation of spatial transformer networks (Jaderberg et al. 2015) in NumPy, with
all gradients derived by hand.

{text}
"""

SECTIONS = {
    "course": ("Course", "Notebook by notebook, each with exercises.", ["notebooks/*"]),
    "derive": (
        "Derivations",
        "From the definition to the line of code.",
        [
            *(
                "docs/derivations/grid_generator",
                "docs/derivations/sampler",
                "docs/derivations/layers",
            ),
            *("docs/derivations/transforms", "docs/derivations/fit", "docs/derivations/fields"),
            "docs/equation_map",
        ],
    ),
    "use": (
        "Use",
        "Conventions, the gradient check, recipes, results.",
        [
            *("docs/port_from_pytorch", "docs/conventions", "docs/gradcheck"),
            *("docs/checker_in_your_tests", "docs/recipes", "docs/results", "docs/*"),
        ],
    ),
    "reference": (
        "Reference",
        "What there is, and how it reads.",
        [
            *("docs/names", "api/index", "source/index", "docs/glossary", "docs/bibliography"),
            "changelog",
        ],
    ),
}
"""The parts of the site: title, what it is, its pages; a star stands for those not named."""


def main() -> int:
    """Stage the sources and run Sphinx, to which a warning is an error."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    for folder in ("docs/derivations", "notebooks", "api", "source", "_static"):
        (SOURCE / folder).mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "site" / "conf.py", SOURCE)
    for name in ("site.css", "site.js"):
        shutil.copy(ROOT / "docs" / "site" / name, SOURCE / "_static")
    _fetch_katex(SOURCE / "_static")
    _copy_pages()
    _write_api()
    _write_annotated()
    call = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-j", "auto"]
    done = subprocess.run([*call, str(SOURCE), str(SITE)], cwd=ROOT, check=False)
    mistakes = find_mistakes(SITE) if done.returncode == 0 else ["Sphinx: expected no warning"]
    print(*mistakes, sep="\n", end="\n" * bool(mistakes))
    print(f"wrote {(SITE / 'index.html').relative_to(ROOT)}")
    return 1 if mistakes else 0


def _fetch_katex(static: Path) -> None:
    """Put KaTeX's script, style and fonts there; npm checks what it fetches."""
    archive = ROOT / "build" / f"{KATEX.replace('@', '-')}.tgz"
    if not archive.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("npm: expected it, for KaTeX's fonts, got none; install Node.js")
        call = [npm, "pack", "--silent", "--pack-destination", str(archive.parent), KATEX]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(archive) as package:
        for member in package.getmembers():
            name = member.name.removeprefix("package/dist/")
            wanted = name in ("katex.min.css", "katex.min.js")
            if wanted or re.fullmatch(r"fonts/.*\.woff2", name):
                file = package.extractfile(member)
                assert file is not None
                (static / "katex" / name).parent.mkdir(parents=True, exist_ok=True)
                (static / "katex" / name).write_bytes(file.read())


# ----------------------------------------------------------------------- what came out


class _Page(HTMLParser):
    """What a page has names for, links to, and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the names and the addresses of an element."""
        of = {key: value for key, value in attrs if value is not None}
        self.names |= {of[key] for key in ("id", "name") if key in of}
        if tag == "a" and "href" in of:
            self.links.append(of["href"])
        is_loaded = tag == "link" and of.get("rel") in ("stylesheet", "icon", "preload")
        self.loads += [of["src"]] if "src" in of else [of["href"]] if is_loaded else []


def find_mistakes(site: Path) -> list[str]:
    """Return what a page asks of a network, and links that lead nowhere.

    Parameters
    ----------
    site : pathlib.Path
        The folder of the built site.

    Returns
    -------
    list of str
    """
    own = [p.resolve() for p in site.rglob("*.html") if "_static" not in p.parts]
    pages = {p: _Page(p.read_text(encoding="utf-8")) for p in own}
    mistakes = []
    for path, page in pages.items():
        shown = path.relative_to(site.resolve())
        for address in page.loads:
            file = (path.parent / unquote(urlsplit(address).path)).resolve()
            if urlsplit(address).scheme not in ("", "data") or not (
                address.startswith("data:") or file.is_file()
            ):
                mistakes.append(f"{shown}: expected a file of the site, got {address}")
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = file in pages and (
                not parts.fragment or unquote(parts.fragment) in pages[file].names
            )
            if not (known or (file.is_file() and file not in pages)):
                mistakes.append(f"{shown}: expected a link that leads somewhere, got {address}")
    return mistakes


# ------------------------------------------------------------------------- pages as they are


def _copy_pages() -> None:
    docs = ROOT / "docs"
    pages, computed = [*docs.glob("*.md"), *docs.glob("derivations/*.md")], _computed()
    for page in pages:
        target = SOURCE / page.relative_to(ROOT)
        text = _with_targets(page.read_text(encoding="utf-8"), computed)
        target.write_text(_relinked(text, page), encoding="utf-8")
    shutil.copytree(docs / "figures", SOURCE / "docs" / "figures")
    notebooks = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    for notebook in notebooks:
        shutil.copy(notebook, SOURCE / "notebooks")
    changelog = ROOT / "CHANGELOG.md"
    text = _relinked(changelog.read_text(encoding="utf-8"), changelog)
    (SOURCE / "changelog.md").write_text(text, encoding="utf-8")
    index = docs / "index.md"
    text = re.sub(r"^# .*\n", "", _relinked(index.read_text(encoding="utf-8"), index, SOURCE))
    (SOURCE / "docs" / "index.md").unlink()
    (SOURCE / "index.md").write_text(INDEX.format(text=text) + _toctree(SECTIONS), encoding="utf-8")
    there = [page.relative_to(SOURCE).with_suffix("").as_posix() for page in _staged()]
    named = [page for _, _, pages in SECTIONS.values() for page in pages]
    for name, (title, intro, pages) in SECTIONS.items():
        listed = []
        for page in pages:
            own = [p for p in there if fnmatch(p, page) and p not in named and p.count("/") == 1]
            listed += own if "*" in page else [page]
        text = f"# {title}\n\n{intro}\n" + _toctree(listed, hidden=False)
        (SOURCE / f"{name}.md").write_text(text, encoding="utf-8")


def _staged() -> list[Path]:
    return sorted([*SOURCE.glob("docs/*.md"), *SOURCE.glob("notebooks/*.ipynb")])


def _toctree(pages: Iterable[str], *, hidden: bool = True) -> str:
    options = ":hidden:\n" if hidden else ""
    listing = "\n".join(pages)
    return f"\n```{{toctree}}\n:maxdepth: 1\n{options}\n{listing}\n```\n"


def _with_targets(text: str, computed: dict[str, list[tuple[str, str]]]) -> str:
    """Give each numbered equation a name to link to, and a link to what computes it."""

    def named(match: re.Match[str]) -> str:
        tags = TAG.findall(match[1])
        targets = "".join(f"({_anchor(tag)})=\n" for tag in tags)
        places = dict.fromkeys(place for tag in tags for place in computed.get(tag, []))
        links = [f"[`{f}`](../../source/{module}.md#{f.lower()})" for module, f in places]
        code = f"\nIn code: {', '.join(links)}\n" if links else ""
        return f"{targets}{match[0]}{code}"

    return FENCE.sub(named, text)


def _computed() -> dict[str, list[tuple[str, str]]]:
    """Return for each tag the functions of the core that carry it, with their modules."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name in CORE:
        text = _path(name).read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                for line in lines[node.lineno - 1 : node.end_lineno]:
                    for tag in CODE_TAG.findall(line):
                        found.setdefault(tag, []).append((name, node.name))
    return found


def _path(module: str) -> Path:
    return ROOT / "stnref" / Path(*module.split(".")).with_suffix(".py")


def _anchor(tag: str) -> str:
    return f"eq-{tag.lower()}"


def _relinked(text: str, page: Path, base: Path | None = None) -> str:
    """Let links to pages be links within the site, and those to other files lead to their home."""
    # In fences nothing is a link.
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    folder = page.parent

    def moved(match: re.Match[str]) -> str:
        up, name, anchor = match[1], match[2], match[3] or ""
        target = (folder / up / name).resolve()
        if "://" in match[0] or not target.exists() or ROOT not in target.parents:
            return match[0]
        relative = target.relative_to(ROOT)
        if relative.parts[0] == "stnref" and target.suffix == ".py":
            module = ".".join(relative.with_suffix("").parts[1:])
            if module in CORE:
                relative = Path("source") / f"{module}.md"
            elif target.parent.name == "stnref":
                relative = Path("api") / f"{module}.rst"
            else:
                return f"]({HOME}{relative.as_posix()})"
        elif relative.parts[0] not in STAGED or target.suffix not in (
            ".md",
            ".ipynb",
            ".png",
            ".gif",
        ):
            return f"]({HOME}{relative.as_posix()})"
        here = Path() if base is not None else page.relative_to(ROOT).parent
        ups = "../" * len(here.parts)
        if relative == Path("docs/index.md"):
            relative = Path("index.md")
        return f"]({ups}{relative.as_posix()}{anchor})"

    return "".join(p if p.startswith("```") else LINK.sub(moved, p) for p in parts)


# ----------------------------------------------------------------------- pages out of the code


def _write_api() -> None:
    """Write a page for each room: its docstring, then its functions with all that they say."""
    rooms = []
    for module in pkgutil.walk_packages(stnref.__path__, "stnref."):
        name = module.name.removeprefix("stnref.")
        if "_" == name[0] or name.startswith(("diagnosis.", "gradcheck.", "cli")):
            continue
        if importlib.import_module(module.name).__doc__ is None or module.ispkg:
            continue
        rooms.append(name)
        title = f"stnref.{name}"
        text = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {title}\n"
        (SOURCE / "api" / f"{name}.rst").write_text(text, encoding="utf-8")
    for name in ("gradcheck", "diagnosis"):
        rooms.append(name)
        title, members = f"stnref.{name}", ", ".join(_exported(name))
        text = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {title}\n   :members: {members}\n"
        (SOURCE / "api" / f"{name}.rst").write_text(text, encoding="utf-8")
    text = "# API\n\nRoom by room.\n" + _toctree(sorted(rooms), hidden=False)
    (SOURCE / "api" / "index.md").write_text(text, encoding="utf-8")


def _exported(room: str) -> list[str]:
    names = vars(importlib.import_module(f"stnref.{room}"))
    return [n for n, v in names.items() if not n.startswith("_") and callable(v)]


def _equations() -> dict[str, tuple[str, str]]:
    """Return for each tag the page that derives it, and its formula."""
    found = {}
    for page in sorted((ROOT / "docs" / "derivations").glob("*.md")):
        for match in FENCE.finditer(page.read_text(encoding="utf-8")):
            for tag in TAG.findall(match[1]):
                found.setdefault(tag, (f"docs/derivations/{page.stem}.md", match[1]))
    return found


def _write_annotated() -> None:
    """Write for each file of the core its functions, each beside the equations of its tags."""
    equations = _equations()
    for name in CORE:
        path = _path(name)
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        intro = (ast.get_docstring(tree) or "").split("\n\n")[0]
        parts = [f"# {path.relative_to(ROOT).as_posix()}\n\n{intro}\n"]
        parts.append(f"All that it says: [the API](../api/{name}.rst).\n")
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not _is_overload(node):
                parts.append(_annotated(node, text, equations))
        (SOURCE / "source" / f"{name}.md").write_text("\n".join(parts), encoding="utf-8")
    text = (
        "# Annotated source\n\nThe core in the order in which it is best read. Beside the lines "
        "stand the equations that they compute, each a link to its derivation.\n"
    )
    text += _toctree(CORE, hidden=False)
    (SOURCE / "source" / "index.md").write_text(text, encoding="utf-8")


def _is_overload(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return any("overload" in ast.unparse(mark) for mark in node.decorator_list)


def _annotated(
    node: ast.FunctionDef | ast.ClassDef, text: str, equations: dict[str, tuple[str, str]]
) -> str:
    """Return one function without its docstring, and the equations whose tags are in it."""
    lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
    lines = _without_docstrings(node, lines)
    tags = [tag for line in lines for tag in CODE_TAG.findall(line) if tag in equations]
    code = "\n".join(lines)
    block = f"```{{code-block}} python\n{code}\n```\n"
    formulas = []
    for tag in dict.fromkeys(tags):
        page, formula = equations[tag]
        formulas.append(f"[{tag}](../{page}#{_anchor(tag)})\n\n```{{math}}\n{formula}```\n")
    title = f"## {node.name}\n\n"
    if not formulas:
        return title + block
    beside = ":::{container} equations\n" + "\n".join(formulas) + ":::\n"
    return f"{title}::::{{container}} annotated\n{block}\n{beside}::::\n"


def _without_docstrings(node: ast.FunctionDef | ast.ClassDef, lines: list[str]) -> list[str]:
    """Leave out what the API page shows."""
    dropped: set[int] = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(part):
            first = part.body[0]
            if len(part.body) > 1:
                dropped |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return [line for number, line in enumerate(lines, start=node.lineno) if number not in dropped]


if __name__ == "__main__":
    sys.exit(main())
