"""How a model is applied to a volume: everything that may be chosen, in one frozen record that is validated once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo

from ctloupe.enhance.blending import BLEND_MM
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.records import validated
from ctloupe.networks.precision import hardware_has_bf16

Stitch = Literal["calibrated", "slice", "patches"]
STITCHES: Final[tuple[Stitch, ...]] = get_args(Stitch)
Precision = Literal["auto", "bf16", "float32"]
Output = Literal["mean", "sample"]
FlatFieldChoice = Literal["auto", "on", "off"]
ConsistentWith = Literal["blocks", "scanner", "plane"]
_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "stitch": get_args(Stitch),
    "precision": get_args(Precision),
    "output": get_args(Output),
    "flat_field": get_args(FlatFieldChoice),
    "consistent_with": get_args(ConsistentWith),
}

SMALLEST_TILE: Final = 8
STEPS: Final = 4
"""Steps in which a flow draws a sample, unless something else is asked for."""


def is_of_values(name: str) -> bool:
    """Whether a map holds values in HU, which outside of the mask are those of the interpolation, not 0."""
    return name.startswith("quantile-")


def quantile_name(probability: float) -> str:
    """Return the name of the map of a quantile."""
    return f"quantile-{probability:g}"


class EnhanceOptions(BaseModel):
    """Options of an enhancement.

    Attributes
    ----------
    stitch
        Where normalisation statistics come from. ``calibrated``: once per volume; ``slice``: each slice's own;
        ``patches``: independent patches, as in the papers. The latter two are for comparison.
    stitch_size
        Where `stitch` is ``patches``, side of a patch in voxels of the scan; None: that of the training patches. SPIE
        2020 takes larger ones, so that there are fewer seams.
    seed
        Seed of the calibration sample, of dropout, and of the samples of a flow.
    samples
        Number of passes with different dropout masks that are averaged; 0: one pass without dropout. Of a flow: number
        of samples whose standard deviation is found.
    quantiles
        Probabilities, between 0 and 1, for which the quantile of a flow's samples is found in every voxel.
    uncertainty, invented
        Whether a flow gives, in the run that makes its mean, the standard deviation that it has learnt of the errors of
        that mean (with `samples` it is that of the samples), and the share of the prior's own that the scan leaves
        open.
    output, steps
        What a flow gives, its posterior ``mean`` or the ``sample`` of the seed, and how many steps lead to a sample: by
        default `STEPS`, and none where the model draws the texture of a sample at once.
    match_histograms, median
        Where `stitch` is ``patches``, give each generated patch the histogram of its enlarged clinical patch, and
        filter each slice with the median of so many pixels (odd; 1: no filter), as ISBI 2021 hides the grid.
    flat_field
        Where `stitch` is ``calibrated``, whether the mesh that the network draws into flat images is taken off;
        ``auto``: of a flow's mean only, so that other methods stay those of their papers.
    consistent
        Where `stitch` is ``calibrated``, correct each slice to agree with the scan inside the mask.
    consistent_with
        What `consistent` means. ``blocks``: the mean of every s×s block equals the scan; ``scanner``: what the
        estimated scanner would see of the slice differs from the scan by no more than noise; ``plane``: by no more than
        noise and what a thin plane differs by from the mean over a slice.
    blend
        Distance in mm over which the result goes over into the bicubic interpolation at the border of the mask; 0: at
        once.
    blend_outside
        Whether it does so outside of the mask, which is then enhanced fully, instead of inside; see `Blend`.
    precision
        Type of the features: ``auto`` (bf16 where the hardware has it), ``bf16`` or ``float32``.
    tile
        Side of a tile in voxels of the scan, at least 8; None: chosen by memory.
    memory
        Bytes that the process may use; None: three quarters of what is available, 3 GB at most.

    Raises
    ------
    OptionError
        If a value is out of range or contradicts another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    WITHOUT_INFLUENCE: ClassVar[frozenset[str]] = frozenset({"memory", "precision", "tile"})
    """Options that cannot change a byte of work that is continued.

    Memory and tile decide how slices are cut, which is recorded and taken up again; of the precision, the type that it
    comes to on this machine is recorded.
    """

    stitch: Stitch = "calibrated"
    stitch_size: int | None = None
    seed: int = Field(0, ge=0)
    samples: int = 0
    quantiles: tuple[float, ...] = ()
    uncertainty: bool = False
    invented: bool = False
    output: Output = "mean"
    steps: int | None = None
    flat_field: FlatFieldChoice = "auto"
    match_histograms: bool = False
    median: int = 1
    consistent: bool = False
    consistent_with: ConsistentWith = "blocks"
    blend: float = BLEND_MM
    blend_outside: bool = False
    precision: Precision = "auto"
    tile: int | None = None
    memory: int | None = None

    @field_validator(*_CHOICES, mode="before")
    @classmethod
    def _known(cls, value: Any, info: ValidationInfo) -> Any:
        known = _CHOICES[str(info.field_name)]
        if value not in known:
            raise OptionError(f"`{info.field_name}` {value}: expected {', '.join(known[:-1])} or {known[-1]}")
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.samples < 0:
            raise OptionError(f"`samples` {self.samples}: expected the number of passes, or 0")
        if any(not 0 < one < 1 for one in self.quantiles) or len(set(self.quantiles)) < len(self.quantiles):
            told = ", ".join(f"{one:g}" for one in self.quantiles)
            raise OptionError(f"`quantiles` {told}: expected different probabilities between 0 and 1")
        if self.quantiles and self.samples < 2:
            raise OptionError("`quantiles` are those of `samples`; ask for at least 2 of these")
        if self.quantiles and self.consistent:
            raise OptionError("`quantiles` are of samples that `consistent` does not correct; leave one of them out")
        if self.steps is not None and self.steps < 1:
            raise OptionError(f"`steps` {self.steps}: expected at least one")
        if (self.uncertainty or self.invented) and self.stitch != "calibrated":
            raise OptionError("`uncertainty` without `samples` and `invented` belong to `stitch` calibrated")
        if self.uncertainty and self.samples:
            raise OptionError("`uncertainty` is either learnt or that of `samples`")
        if self.uncertainty and self.output == "sample":
            raise OptionError("`uncertainty` without `samples` is that of `output` mean; a sample is further off")
        if self.flat_field == "on" and self.stitch != "calibrated":
            raise OptionError("`flat_field` on belongs to `stitch` calibrated")
        if self.output == "sample" and self.stitch != "calibrated":
            raise OptionError("`output` sample belongs to `stitch` calibrated")
        if self.tile is not None and self.tile < SMALLEST_TILE:
            raise OptionError(f"`tile` {self.tile}: expected at least {SMALLEST_TILE} voxels")
        if self.median < 1 or self.median % 2 == 0:
            raise OptionError(f"`median` {self.median}: expected an odd number of pixels, for instance 3")
        if not 0 <= self.blend < float("inf"):
            raise OptionError(f"`blend` {self.blend:g}: expected a distance in mm, 0 for a hard border")
        if self.stitch_size is not None and self.stitch != "patches":
            raise OptionError("`stitch_size` belongs to `stitch` patches; without it there are none")
        if self.stitch_size is not None and self.stitch_size < SMALLEST_TILE:
            raise OptionError(f"`stitch_size` {self.stitch_size}: expected at least {SMALLEST_TILE} voxels")
        if (self.match_histograms or self.median > 1) and self.stitch != "patches":
            raise OptionError("`match_histograms` and `median` belong to `stitch` patches; without it there is no grid")
        if self.consistent and self.stitch != "calibrated":
            raise OptionError("`consistent` belongs to `stitch` calibrated")
        if self.consistent_with != "blocks" and not self.consistent:
            raise OptionError(f"`consistent_with` {self.consistent_with} belongs to `consistent`")
        return self

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Self:
        """Return what was asked for, by name, as a record.

        Raises
        ------
        OptionError
            If there is no option of a name, or a value is of the wrong type, out of range or contradicts another.
        """
        return validated(cls, asked, "options of enhance")

    @property
    def beside(self) -> tuple[str, ...]:
        """Names of the maps that are made beside the values."""
        asked = {"deviation": bool(self.samples) or self.uncertainty, "invented": self.invented}
        return (*(name for name, wanted in asked.items() if wanted), *map(quantile_name, self.quantiles))

    @property
    def consistent_with_scanner(self) -> bool:
        """Whether slices are corrected by the estimated scanner."""
        return self.consistent and self.consistent_with != "blocks"

    def dtype(self, device: torch.device) -> torch.dtype:
        """Type of the features on `device`."""
        bf16 = self.precision == "bf16" or (self.precision == "auto" and hardware_has_bf16(device.type))
        return torch.bfloat16 if bf16 else torch.float32

    def keeps_memory(self, device: torch.device) -> bool:
        """Whether what layers give back is kept for the next ones; see `ctloupe.foundation.kept_memory`."""
        return self.memory is None and device.type == "cpu"

    def deciding(self) -> dict[str, Any]:
        """Every option that can change the result, in JSON: all but `WITHOUT_INFLUENCE`."""
        return self.model_dump(mode="json", exclude=set(self.WITHOUT_INFLUENCE))
