"""How the scans of a study become patches and are enhanced: windows, masks, anatomy, grid of patches, options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.registry import DEFAULT
from ctloupe.prepare.banks import BankRequest, WindowRequest, window_request

WindowText = tuple[float, float] | str
"""Two values, or what ``prepare`` takes: ``zscore:3``, ``min-max``."""


class Reduced(BaseModel):
    """Clinical images that are reduced copies of the fine ones: one set of CTs is both domains (JMI 2022, Table 6)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise: float = Field(0.05, ge=0)
    """Standard deviation of Gaussian noise, as a part of the width of the window."""
    share: float = Field(0.1, ge=0, le=1)
    """Part of the slices that are given noise."""


class Recipe(BaseModel):
    """How the scans of a study are made, prepared and enhanced at one of its scales."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    anatomy: str = DEFAULT
    """Anatomy of the phantoms."""
    clinical_window: WindowText = (-1000.0, 2500.0)
    """Values of the clinical CTs that become −1 and 1."""
    micro_window: WindowText = (0.0, 15000.0)
    """The same of the µCT."""
    clinical_mask: str = "lungs"
    """Where clinical patches lie: a kind of mask."""
    micro_mask: str = "specimen"
    """The same of µCT patches."""
    stride: int | None = Field(None, ge=1)
    """Step of a grid of µCT patches in fine pixels, instead of random places."""
    reduced: Reduced | None = None
    """How clinical images are made of the fine ones; None: they are scans of their own."""
    enhance: dict[str, Any] = Field(default_factory=dict)
    """Options of `EnhanceOptions` with which every row enhances the test scans; the runner checks them."""

    @field_validator("clinical_window", "micro_window", mode="after")
    @classmethod
    def _possible_window(cls, value: WindowText) -> WindowText:
        as_request(value)
        return value

    def bank_request(
        self, clinical: Sequence[Path], micro: Sequence[Path], scale: int, patch_size: int, per_case: int
    ) -> BankRequest:
        """Return what `prepare_banks` is asked for, to cut patches of these volumes by the recipe."""
        return BankRequest(
            clinical=tuple(clinical),
            micro=tuple(micro),
            scale=scale,
            patch_size=patch_size,
            per_case=per_case,
            clinical_mask=self.clinical_mask,
            micro_mask=self.micro_mask,
            clinical_window=as_request(self.clinical_window),
            micro_window=as_request(self.micro_window),
            stride=self.stride,
        )


def as_request(window: WindowText) -> WindowRequest:
    """Return the request that a window of a recipe means.

    Raises
    ------
    ValueError
        If a text is none that ``prepare`` takes.
    """
    if not isinstance(window, str):
        return WindowRequest(*window)
    try:
        return window_request(window)
    except OptionError as error:
        raise ValueError(str(error)) from error


PHANTOM: Final[dict[Literal["tiny", "small", "paper"], dict[str, Any]]] = {
    scale: {"clinical_window": (-1000.0, 400.0), "micro_window": (2500.0, 15000.0)} for scale in ("tiny", "small")
} | {"paper": {}}
"""Windows of the phantoms' lung, which the short trainings see; at scale ``paper`` they are the papers'."""
