"""A report as PDF, for those who file it. Needs the extra ``pdf``."""

from __future__ import annotations

import base64
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from matplotlib import get_data_path

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import OptionError

MARGIN_MM: Final = 15.0
_FONT: Final = "DejaVu"


def require_pdf() -> None:
    """Raise `OptionError` when the library for PDF is absent."""
    if find_spec("reportlab") is None:
        raise OptionError("`pdf` needs reportlab; install it with: pip install 'ctloupe[pdf]'")


def write_pdf(title: str, notice: str, sections: list[dict[str, Any]], path: Path, overwrite: bool = True) -> None:
    """Write the sections of a report as A4 pages; the notice stands on every page.

    Raises
    ------
    OptionError
        If reportlab is not installed.
    FileError
        If `path` exists without `overwrite` or cannot be written.
    """
    require_pdf()
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    styles = _styles()
    width = A4[0] - 2 * MARGIN_MM * mm
    story: list[Any] = [Paragraph(escape(title), styles["title"]), Paragraph(escape(notice), styles["notice"])]
    for section in sections:
        story.append(Paragraph(escape(section["heading"]), styles["heading"]))
        for part in section["parts"]:
            story += _flowables(part, styles, width)

    def footer(canvas: Any, document: Any) -> None:
        canvas.setFont(_FONT, 6.5)
        canvas.drawString(MARGIN_MM * mm, 8 * mm, f"{notice[:150]}")
        canvas.drawRightString(A4[0] - MARGIN_MM * mm, 8 * mm, str(document.page))

    with replacing(path, overwrite) as temporary:
        document = SimpleDocTemplate(
            str(temporary),
            pagesize=A4,
            leftMargin=MARGIN_MM * mm,
            rightMargin=MARGIN_MM * mm,
            topMargin=MARGIN_MM * mm,
            bottomMargin=MARGIN_MM * mm,
            title=title,
            author="CT Loupe",
        )
        document.build(story, onFirstPage=footer, onLaterPages=footer)


def _styles() -> dict[str, Any]:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    # The fonts of PDF itself have no minus sign and no Greek; matplotlib brings one that has.
    fonts = Path(get_data_path()) / "fonts" / "ttf"
    pdfmetrics.registerFont(TTFont(_FONT, fonts / "DejaVuSans.ttf"))
    pdfmetrics.registerFont(TTFont(f"{_FONT}-Bold", fonts / "DejaVuSans-Bold.ttf"))
    body = ParagraphStyle("body", fontName=_FONT, fontSize=8.5, leading=12, spaceAfter=4)
    bold = f"{_FONT}-Bold"
    return {
        "body": body,
        "cell": ParagraphStyle("cell", body, fontSize=7, leading=9, spaceAfter=0),
        "caption": ParagraphStyle("caption", body, fontSize=7.5, leading=10, textColor="#5a6670", spaceAfter=8),
        "notice": ParagraphStyle("notice", body, backColor="#fff4d6", borderPadding=4, spaceAfter=8),
        "heading": ParagraphStyle("heading", body, fontName=bold, fontSize=11, leading=15, spaceBefore=10),
        "title": ParagraphStyle("title", body, fontName=bold, fontSize=15, leading=19, spaceAfter=8),
    }


def _flowables(part: dict[str, Any], styles: dict[str, Any], width: float) -> list[Any]:
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image, KeepTogether, Paragraph, Table

    if part["kind"] == "text":
        return [Paragraph(escape(part["text"]), styles["body"])]
    if part["kind"] == "figure":
        png = io.BytesIO(base64.b64decode(part["png"]))
        across, down = ImageReader(png).getSize()
        shown = min(width, across * 0.6)
        caption = Paragraph(escape(part["caption"]), styles["caption"])
        return [KeepTogether([Image(png, shown, shown * down / across), caption])]
    if part["kind"] == "terms":
        return [
            Paragraph(f"<b>{escape(term)}</b>: {escape(meaning)}", styles["caption"]) for term, meaning in part["terms"]
        ]
    rows = [[Paragraph(escape(cell), styles["cell"]) for cell in row] for row in [part["head"], *part["rows"]]]
    first = min(0.4, 2 / (1 + len(part["head"])))
    widths = [first * width, *([(1 - first) * width / max(1, len(part["head"]) - 1)] * (len(part["head"]) - 1))]
    lines = [("LINEBELOW", (0, 0), (-1, -1), 0.25, "#d7dde2"), ("LINEBELOW", (0, 0), (-1, 0), 0.8, "#1a1f24")]
    return [Table(rows, colWidths=widths, style=[*lines, ("VALIGN", (0, 0), (-1, -1), "TOP")], repeatRows=1)]
