"""Builds the documentation as a site: the pages of the repository, and references made from the program.

``python docs/site/build.py --out site`` copies the pages to a folder of its own, draws no new content but the
references and the contents, which are those of ``docs/index.md``, and lets Sphinx build them. A warning is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import command_line
import python_names
from diagrams import with_pictures
from notebook import notebook_markdown

from ctloupe.foundation.garbage import collect_seldom

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs"
OTHERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
"""Pages that stand beside ``docs/``."""

REFERENCE = "Reference"
"""Section of the index to which the references are added."""

_LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)(#[^)]*)?(\))")
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", flags=re.S | re.M)


def place_of(path: Path) -> Path:
    """Return where a file of the repository stands on the site: what is in ``docs/`` at the top, all else below it."""
    if path.is_relative_to(DOCS):
        place = path.relative_to(DOCS)
        return place.with_suffix(".md") if path.suffix == ".ipynb" else place
    if path.parent == ROOT and path.name in OTHERS:
        return Path(path.name.lower())
    return Path("files") / path.relative_to(ROOT)


def stage(folder: Path) -> None:
    """Write everything that Sphinx reads into a folder.

    Raises
    ------
    FileNotFoundError
        If a page links to what is not there.
    """
    for page in [ROOT / name for name in OTHERS] + sorted([*DOCS.rglob("*.md"), *DOCS.glob("*.ipynb")]):
        text = page.read_text(encoding="utf-8")
        text = notebook_markdown(text) if page.suffix == ".ipynb" else text
        text = with_pictures(text, _up(place_of(page)) + "images/diagrams")
        _write(folder / place_of(page), _links(text, page, folder))
    for picture in sorted((DOCS / "images").rglob("*.*")):
        _copy(picture, folder / place_of(picture))
    _references(folder)
    index = folder / "index.md"
    _write(index, index.read_text(encoding="utf-8") + _contents(index.read_text(encoding="utf-8")))
    records = sorted(path.stem for path in (DOCS / "decisions").glob("0*.md"))
    _add(folder / "decisions" / "README.md", _tree(records))
    for source, place in (("conf.py", "conf.py"), ("site.css", "_static/site.css")):
        _copy(HERE / source, folder / place)


def _links(text: str, page: Path, folder: Path) -> str:
    """Return a page with links that lead to the same places on the site; other files are copied beside the pages."""

    def moved(found: re.Match[str]) -> str:
        target = (page.parent / found[2]).resolve()
        if not target.exists():
            raise FileNotFoundError(f"{page.relative_to(ROOT)}: the link {found[2]} leads nowhere")
        # A folder has no page; the index lists what is in it.
        place = Path("index.md") if target.is_dir() else place_of(target)
        if place.parts[0] == "files":
            _copy(target, folder / place)
        return (
            f"{found[1]}{os.path.relpath(folder / place, (folder / place_of(page)).parent)}{found[3] or ''}{found[4]}"
        )

    parts = _CODE.split(text)
    return "".join(part if number % 2 else _LINK.sub(moved, part) for number, part in enumerate(parts))


def _references(folder: Path) -> None:
    """Write the pages that are made from the program."""
    verbs = command_line.command_pages()
    summaries = {words[0]: command_line.summary(one) for words, one in command_line.commands() if len(words) == 1}
    for verb, page in verbs.items():
        _write(folder / "command-line" / f"{verb}.md", page)
    lines = [f"* [`ctloupe {verb}`]({verb}.md): {summaries[verb]}" for verb in verbs]
    head = "# Command line\n\nWritten from the program itself. `ctloupe VERB --help` says the same in the terminal."
    _write(folder / "command-line" / "index.md", "\n\n".join([head, "\n".join(lines), _tree(list(verbs))]))
    doors = python_names.front_doors((DOCS / "architecture.md").read_text(encoding="utf-8"))
    _write(folder / "python.md", python_names.page("Python: the package", python_names.public_names()))
    _write(folder / "front-doors.md", python_names.page("Python: front doors of other verbs", doors))


def _contents(index: str) -> str:
    """Return the contents of the site, which are the sections of the index and the references."""
    trees = []
    for section in re.split(r"^## ", index, flags=re.M)[1:]:
        caption, _, body = section.partition("\n")
        entries = [
            f"{title} <{target}>" for title, target in re.findall(r"^\* \[([^]]+)\]\(([^)]+)\)", body, flags=re.M)
        ]
        if caption == REFERENCE:
            entries = [
                "Command line <command-line/index>",
                "Python <python>",
                "Python, other verbs <front-doors>",
                *entries,
            ]
        trees.append(_tree([entry.replace(".md>", ">") for entry in entries], caption))
    return "\n\n" + "\n\n".join(trees) + "\n"


def _tree(entries: list[str], caption: str = "") -> str:
    options = ":hidden:\n" + (f":caption: {caption}\n" if caption else "")
    return f"```{{toctree}}\n{options}\n" + "\n".join(entries) + "\n```"


def _add(page: Path, text: str) -> None:
    _write(page, f"{page.read_text(encoding='utf-8')}\n\n{text}\n")


def _up(place: Path) -> str:
    return "../" * (len(place.parts) - 1)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def main() -> int:
    """Build the site; the exit code is not 0 where anything was to be warned of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="folder of the site, which is replaced")
    out = parser.parse_args().out
    collect_seldom()
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder) / "pages")
        shutil.rmtree(out, ignore_errors=True)
        failed = build_main(
            ["-q", "-W", "--keep-going", "-E", "-j", "2", "-d", f"{folder}/doctrees", f"{folder}/pages", str(out)]
        )
    if not failed:
        print(f"open {out / 'index.html'} in a browser")
    return failed


if __name__ == "__main__":
    sys.exit(main())
