"""What an exported file says of itself."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ctloupe.export.scan_model import MEANINGS, ScanModel
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.methods.package import software_versions

RECORD_NAME: Final = "ctloupe"
"""Key under which a file keeps its record, as JSON."""

IMAGE: Final = "hu"
OUTPUT: Final = "enhanced"


class TensorRecord(BaseModel):
    """One input or output of an exported network, in float32."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    shape: tuple[int | str, ...]
    """Sizes; what is a letter may be of any size."""
    meaning: str


class ExportRecord(BaseModel):
    """What somebody who has only the exported file must know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    method: str
    model: str
    """Digest of the weights; a file of statistics holds that of the model which they are for."""
    scale: int
    units: str = "HU"
    axes: str = (
        "slices, channels, rows (y), columns (x), as DICOM stores them; rows and columns become scale times more"
    )
    calibrated: Literal["to one scan", "inputs", "needs none"]
    """Where what the network is told of a scan is: in the file, in its inputs, or nowhere."""
    inputs: tuple[TensorRecord, ...]
    output: TensorRecord
    neighbours: bool
    """Whether the channels are the slice below, the slice, and the slice above; else there is one channel."""
    window: tuple[float, float] | None
    """HU beyond which values are cut off; None: it is an input."""
    halo: int | None
    """Scan voxels on every side of a tile that its result depends on; None: the whole slice must be given at once."""
    multiple: int
    """Tiles have to begin at multiples of so many scan voxels."""
    mesh_removed: bool
    """Whether what the network draws into flat images is taken off."""
    trained_spacing: tuple[float, float] | None
    """In-plane (y, x) voxel size in mm that the model was trained at."""
    training: dict[str, Any]
    software: dict[str, str]
    notice: str = RESEARCH_NOTICE

    def texts(self) -> tuple[str, ...]:
        """Return sentences for people: what the file holds of a scan, and how it is cut."""
        told = {
            "to one scan": "Calibrated to one scan: what the network is told of a scan is part of the file, which is "
            "for no other scan.",
            "inputs": "For every scan: what the network is told of a scan are inputs of the file "
            f"({', '.join(one.name for one in self.inputs[1:])}).",
            "needs none": "For every scan: this network is told nothing of a scan.",
        }
        cut = (
            "It looks at whole slices, which must not be cut."
            if self.halo is None
            else f"Slices may be cut into tiles that overlap by a halo of {self.halo} voxels of the scan"
            + (f" and begin at multiples of {self.multiple}." if self.multiple > 1 else ".")
        )
        return told[self.calibrated], cut, self.notice


def record_of(scan_model: ScanModel, open_to: tuple[str, ...], training: dict[str, Any]) -> ExportRecord:
    """Describe an exported network; see `ctloupe.export.graph.HounsfieldNetwork`."""
    model, field = scan_model.model, scan_model.field
    arrays = scan_model.arrays()
    channels = "the slice below, the slice, the slice above" if scan_model.neighbours else "one"
    image = TensorRecord(
        name=IMAGE,
        shape=("n", 3 if scan_model.neighbours else 1, "h", "w"),
        meaning=f"Slices in HU; channels: {channels}.",
    )
    told = tuple(TensorRecord(name=one, shape=arrays[one].shape, meaning=MEANINGS[one]) for one in open_to)
    enlarged = ("n", 1, f"{model.scale}·h", f"{model.scale}·w")
    return ExportRecord(
        method=model.name,
        model=model.digest(),
        scale=model.scale,
        calibrated="inputs" if open_to else "to one scan" if arrays else "needs none",
        inputs=(image, *told),
        output=TensorRecord(name=OUTPUT, shape=enlarged, meaning="Enhanced slices in HU."),
        neighbours=scan_model.neighbours,
        window=None if "window" in open_to else (model.window.low, model.window.high),
        halo=None if field.everything else field.halo,
        multiple=field.multiple,
        mesh_removed=scan_model.mesh is not None,
        trained_spacing=model.trained_spacing,
        training=training,
        software=software_versions(),
    )
