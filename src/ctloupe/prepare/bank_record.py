"""The record beside the patches of a bank: what they mean and where they come from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.images.windows import Scaling
from ctloupe.prepare.masks import MaskKind


class WindowRecord(BaseModel):
    """An intensity window as it is kept on disk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: FiniteFloat
    high: FiniteFloat

    @model_validator(mode="after")
    def _ordered(self) -> WindowRecord:
        if not self.low < self.high:
            raise ValueError("the low end must be below the high one")
        return self


class BankRecord(BaseModel):
    """Content of ``bank.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    modality: str
    spacing: tuple[FiniteFloat, FiniteFloat]
    """In-plane spacing (y, x) of the patches in mm."""
    window: WindowRecord
    scaling: Scaling = "fixed"
    """``min-max``: each volume was scaled by its own range, which its provenance says, and `window` is the mean of
    them; older banks, which do not say, have one window for all."""
    mask: MaskKind | None = None
    """Kind of the masks that the patches were drawn in; None in older banks, which do not say."""
    slope: FiniteFloat = Field(gt=0)
    intercept: FiniteFloat
    """The value of a stored integer is ``slope * stored + intercept``."""
    provenance: list[dict[str, Any]]
    notice: str = RESEARCH_NOTICE

    @model_validator(mode="after")
    def _positive(self) -> BankRecord:
        if min(self.spacing) <= 0:
            raise ValueError(f"spacing {self.spacing}: expected positive numbers")
        return self
