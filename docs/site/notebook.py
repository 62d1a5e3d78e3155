"""Notebooks as pages: their cells and small outputs become Markdown, as the other pages are."""

from __future__ import annotations

import json
from typing import Any


def notebook_markdown(text: str) -> str:
    """Return a notebook as Markdown: code in fences, printed text below it, pictures as data."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = _joined(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code":
            parts.append(_fence(source, "python"))
            parts += [_output(one) for one in cell["outputs"]]
    return "\n\n".join(part for part in parts if part) + "\n"


def _output(output: dict[str, Any]) -> str:
    """One output of a cell: what was printed, or the best of what was shown."""
    if output["output_type"] == "stream":
        return _shown(_joined(output["text"]))
    data = output.get("data", {})
    if "image/png" in data:
        alternative = _joined(data.get("text/plain", "picture")).strip("<>").replace("[", "(").replace("]", ")")
        return f"![{alternative}](data:image/png;base64,{''.join(_joined(data['image/png']).split())})"
    return _shown(_joined(data.get("text/plain", "")))


def _shown(text: str) -> str:
    return _fence(text.rstrip(), "text") if text.strip() else ""


def _fence(text: str, language: str) -> str:
    return f"````{language}\n{text}\n````"


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
