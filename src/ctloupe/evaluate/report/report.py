"""One self-contained HTML page: words, tables and pictures, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from ctloupe.evaluate.comparison import Comparison
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.notice import RESEARCH_NOTICE

TextRole = Literal["lead", "warning"]
"""The sentence that says what was found, or what a reader has to know before anything else."""


@dataclass
class Report:
    """A page that grows section by section; all text is escaped.

    Parameters
    ----------
    title
        Heading of the page.
    """

    title: str
    _sections: list[dict[str, Any]] = field(default_factory=list)
    _figures: int = 0
    _names: set[str] = field(default_factory=lambda: {"contents", "main", "opened"})
    _labels: set[str] = field(default_factory=set)

    def section(self, heading: str) -> None:
        """Begin a section, which the contents list; what follows goes into it."""
        name = re.sub(r"\W+", "-", heading.lower()).strip("-") or "section"
        self._sections.append({"heading": heading, "name": _new(self._names, name, "{}-{}"), "parts": []})

    def text(self, paragraph: str, role: TextRole | None = None) -> None:
        """Add a paragraph; its role makes it stand out."""
        self._add({"kind": "text", "text": paragraph, "role": role})

    def figure(self, png: bytes | Callable[[], bytes], caption: str, alternative: str) -> None:
        """Add a PNG picture, which opens in its own size.

        Parameters
        ----------
        png
            File content, or what draws it when the page is written, so that a page that nobody asks for costs nothing.
        caption
            Text below the picture: what it means and how it was chosen.
        alternative
            Text for those who do not see it: what is on the picture, in a few words.
        """
        self._figures += 1
        self._add(
            {
                "kind": "figure",
                "name": _new(self._names, f"picture-{self._figures}", "{}-{}"),
                "png": png,
                "caption": caption,
                "alternative": alternative,
            }
        )

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> None:
        """Add a table of texts, which scrolls below its head and beside its first column.

        Parameters
        ----------
        head
            Names of the columns, none of them empty.
        rows
            Cells of each row; the first is its name.
        caption
            What the table shows, or how to read it.
        """
        content = {"head": list(head), "rows": [list(row) for row in rows], "caption": caption}
        self._add({"kind": "table", **content})
        self._sections[-1]["parts"][-1]["label"] = _new(
            self._labels, f"{self._sections[-1]['heading']}, table", "{} {}"
        )

    def terms(self, meanings: dict[str, str]) -> None:
        """Add a list of terms and what they mean."""
        self._add({"kind": "terms", "terms": list(meanings.items())})

    def comparison(self, comparison: Comparison) -> None:
        """Add the table of a comparison, its protocol and the definition of every metric."""
        self.table(*table_of(comparison), "A row a metric, a column a way of enhancing; – could not be measured.")
        self.text(f"Protocol: {comparison.protocol}. Numbers of other protocols must not be compared with these.")
        for rule in comparison.facts.get("rules", []):
            self.text(f"Segmentation rule, the same for every row and for the truth: {rule}.")
        self.terms(comparison.definitions)

    def html(self) -> str:
        """Return the page."""
        environment = Environment(
            loader=PackageLoader("ctloupe", "evaluate/report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        script = (files("ctloupe.evaluate.report") / "report.js").read_text(encoding="utf-8")
        return environment.get_template("report.html.j2").render(
            title=self.title,
            notice=RESEARCH_NOTICE,
            script=script,
            policy=_policy(script),
            sections=self._drawn(),
            footer=f"Made by ctloupe {version('ctloupe')}.",
        )

    def drawn(self) -> Report:
        """Return the page with every picture drawn, so that it can be sent away from the volumes that it shows."""
        self._drawn()
        return self

    def write(self, path: Path, overwrite: bool = True) -> None:
        """Write the page to `path`.

        Raises
        ------
        FileError
            If it exists without `overwrite` or cannot be written.
        """
        with replacing(path, overwrite) as temporary:
            temporary.write_text(self.html(), encoding="utf-8")

    def write_pdf(self, path: Path, overwrite: bool = True) -> None:
        """Write the page as PDF, where a browser can print it; see `ctloupe.evaluate.report.pdf.write_pdf`."""
        from ctloupe.evaluate.report.pdf import write_pdf

        write_pdf(self.html(), path, overwrite)

    def _drawn(self) -> list[dict[str, Any]]:
        """The sections with every picture drawn, as text in base 64; what was drawn once is kept."""
        for section in self._sections:
            for part in section["parts"]:
                if part["kind"] == "figure" and not isinstance(part["png"], str):
                    png = part["png"]() if callable(part["png"]) else part["png"]
                    part["size"] = struct.unpack(">II", png[16:24])
                    part["png"] = base64.b64encode(png).decode("ascii")
        return self._sections

    def _add(self, part: dict[str, Any]) -> None:
        if not self._sections:
            raise ValueError("begin a section first")
        self._sections[-1]["parts"].append(part)


def _new(taken: set[str], wanted: str, numbered: str) -> str:
    """What is wanted, or with the first number that is not taken yet; it is taken then."""
    number, found = 1, wanted
    while found in taken:
        number += 1
        found = numbered.format(wanted, number)
    taken.add(found)
    return found


def _policy(script: str) -> str:
    """What a browser lets the page do: show the pictures inside it, and run this script alone."""
    digest = base64.b64encode(sha256(script.encode()).digest()).decode("ascii")
    allowed = ("img-src data:", "style-src 'unsafe-inline'", f"script-src 'sha256-{digest}'")
    return "; ".join(["default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"])


def table_of(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a comparison as texts: a line a metric, a column a way of enhancing.

    Where a stated rule sets a limit, a last column says what the truth itself reaches.
    """
    names = list(comparison.rows)
    head = ["metric", *names, *(["truth by the same rule"] if comparison.limits else []), "better"]
    rows = []
    for metric in comparison.definitions:
        cells = [number(comparison.rows[name].get(metric)) for name in names]
        cells += [number(comparison.limits.get(metric))] if comparison.limits else []
        rows.append([metric, *cells, comparison.better.get(metric, "")])
    return head, rows


def number(value: float | None) -> str:
    """A number of a table: three digits that count, a dash for what could not be measured."""
    if value is None or value != value:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
