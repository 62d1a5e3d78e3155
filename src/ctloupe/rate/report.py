"""The results of a rating study as one page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

from jinja2 import Environment, PackageLoader

from ctloupe.foundation.notice import RESEARCH_NOTICE


def write_report(title: str, markdown: str, pictures: Mapping[str, str], folder: Path) -> None:
    """Write ``report.html``: the tables of an analysis, and the picture of each criterion, in one file.

    Parameters
    ----------
    title
        Name of the study.
    markdown
        Tables as `analysis.md` has them: headings of the second level are criteria.
    pictures
        File of each criterion's picture in `folder`.
    folder
        Where the page and the pictures are.
    """
    sections = []
    for part in markdown.split("\n## ")[1:]:
        name, _, body = part.partition("\n")
        criterion = next((one for one in pictures if name.startswith(one)), None)
        image = None
        if criterion is not None:
            image = base64.b64encode((folder / pictures[criterion]).read_bytes()).decode("ascii")
        sections.append({"name": name, "html": _as_html(body, name), "image": image})
    environment = Environment(loader=PackageLoader("ctloupe.rate", "page"), autoescape=True)
    page = environment.get_template("report.html.j2").render(title=title, notice=RESEARCH_NOTICE, sections=sections)
    (folder / "report.html").write_text(page, encoding="utf-8")


def _as_html(text: str, caption: str) -> str:
    """Tables and paragraphs of our own Markdown; everything else in it is text."""
    made: list[str] = []
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            made.append(_table(rows, f"{caption}, {len(made) + 1}"))
            rows = []
        if line.strip():
            made.append(f"<p>{escape(line)}</p>")
    return "\n".join(made)


def _table(rows: list[list[str]], caption: str) -> str:
    head, body = rows[0], rows[2:]
    lines = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    table = [f"<table><caption>{escape(caption)}</caption><thead><tr>{lines}</tr></thead><tbody>"]
    for row in body:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        table.append(f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>')
    return "".join(
        [
            f'<div class="table" tabindex="0" role="region" aria-label="{escape(caption)}">',
            *table,
            "</tbody></table></div>",
        ]
    )
