"""Diagrams of the pages as pictures, so that the site needs no script and nothing from the network to show them.

``python docs/site/diagrams.py`` draws what is missing in an installed Chromium by the program ``mermaid``, which
``npm`` brings, and removes what no page has any more. GitHub draws the sources itself.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]
FOLDER = DOCS / "images" / "diagrams"
MERMAID = "mermaid@11.16.0"

_FENCE = re.compile(r"^```mermaid\n(.*?)^```$", flags=re.S | re.M)
_LABEL = re.compile(r"(?:\[|\(\()(.+?)(?:\]|\)\))")


def sources(page: str) -> list[str]:
    """Return the sources of the diagrams in a page of Markdown."""
    return _FENCE.findall(page)


def picture_of(source: str) -> Path:
    """Return the file that the picture of a diagram has, whether it is there or not."""
    return FOLDER / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.svg"


def with_pictures(page: str, place: str) -> str:
    """Return a page with pictures in place of its diagrams.

    Parameters
    ----------
    page
        Text of the page in Markdown.
    place
        Address of the folder of pictures, relative to the page.

    Raises
    ------
    FileNotFoundError
        If a diagram has no picture yet.
    """

    def shown(found: re.Match[str]) -> str:
        picture = picture_of(found[1])
        if not picture.is_file():
            raise FileNotFoundError(f"a diagram has no picture yet, `make diagrams` draws it:\n{found[1]}")
        return f"![{_in_words(found[1])}]({place}/{picture.name})"

    return _FENCE.sub(shown, page)


def _in_words(source: str) -> str:
    labels = dict.fromkeys(label.replace("<br>", " ") for label in _LABEL.findall(source))
    return "Flow chart of " + ", then ".join(labels)


def _draw(wanted: list[str]) -> None:
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(DOCS.parent / "tests"))
    from browser import ARGUMENTS, CHROMIUM

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        subprocess.run(["npm", "pack", "--silent", MERMAID], cwd=folder, check=True)
        with tarfile.open(next(Path(folder).glob("mermaid-*.tgz"))) as archive:
            archive.extract("package/dist/mermaid.min.js", folder, filter="data")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.add_script_tag(path=Path(folder) / "package" / "dist" / "mermaid.min.js")
        for source in wanted:
            picture_of(source).write_text(_drawn(page, source), encoding="utf-8")
        browser.close()


def _drawn(page: Any, source: str) -> str:
    """One diagram as SVG, its labels plain text, since pictures in a page show no HTML."""
    return (
        page.evaluate(
            """async (source) => {
            const plain = {htmlLabels: false}
            mermaid.initialize({startOnLoad: false, theme: "neutral", flowchart: plain, ...plain})
            return (await mermaid.render("diagram", source)).svg
        }""",
            source,
        )
        + "\n"
    )


def main() -> None:
    """Draw what is missing, and remove what no page has any more."""
    all_ = [one for page in sorted(DOCS.rglob("*.md")) for one in sources(page.read_text(encoding="utf-8"))]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in set(FOLDER.glob("*.svg")) - {picture_of(one) for one in all_}:
        old.unlink()
    wanted = [one for one in all_ if not picture_of(one).is_file()]
    if wanted:
        _draw(wanted)
    print(f"{len(wanted)} of {len(all_)} diagrams drawn")


if __name__ == "__main__":
    main()
