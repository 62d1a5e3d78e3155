"""The results of a rating study: tables for people and programs, a picture of each criterion, a page of it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ctloupe.evaluate.report.report import Report
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.records import save_record


def write_results(
    title: str,
    markdown: str,
    content: dict[str, Any],
    draw: Mapping[str, Callable[[Path], None]],
    folder: Path,
    overwrite: bool,
) -> None:
    """Write ``analysis.md``, ``analysis.json``, ``criterion-N.png`` and ``report.html`` to a new folder.

    Parameters
    ----------
    title
        Name of the study.
    markdown
        Tables for people: each heading of the second level begins with the name of a criterion.
    content
        Content of the JSON file.
    draw
        What writes the picture of each criterion to a file, by its name.
    folder, overwrite
        Folder to make, and whether to replace what is there.

    Raises
    ------
    FileError
        If `folder` exists without `overwrite`, or cannot be written.
    """
    with replacing(folder, overwrite) as temporary:
        temporary.mkdir()
        (temporary / "analysis.md").write_text(markdown, "utf-8")
        save_record(temporary / "analysis.json", content)
        page = Report(title)
        for number, ((criterion, picture), part) in enumerate(
            zip(draw.items(), markdown.split("\n## ")[1:], strict=True), 1
        ):
            file = temporary / f"criterion-{number}.png"
            picture(file)
            heading, _, body = part.partition("\n")
            page.section(heading)
            page.figure(
                file.read_bytes(), "The numbers are in the tables below.", f"Marks of every method: {criterion}"
            )
            _add(page, body)
        page.write(temporary / "report.html")


def _add(page: Report, markdown: str) -> None:
    """Add the tables and the paragraphs of a section of our own Markdown."""
    for block in filter(None, (one.strip() for one in markdown.split("\n\n"))):
        if block.startswith("|"):
            head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
            page.table(head, rows)
        else:
            page.text(block)
