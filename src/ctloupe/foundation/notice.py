"""The sentence that every output carries."""

from __future__ import annotations

from typing import Final

RESEARCH_NOTICE: Final = "Research use only. Not for diagnosis or treatment. Fine detail is synthesised, not measured."
