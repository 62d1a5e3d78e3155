"""What a panel asks for, as the request that the command line makes too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ctloupe.enhance.request import EnhanceRequest
from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.foundation.leftovers import full_suffix
from ctloupe.napari_plugin.place import place_of
from ctloupe.napari_plugin.reader import METADATA
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

SPACINGS: Final = ("must fit", "resample", "accept")
"""What is done where the scan has not the spacing that the model was trained at."""


@dataclass(frozen=True)
class Asked:
    """The fields of the panel.

    Attributes
    ----------
    out
        Text of the output's path; it must be filled in.
    model
        Folder of a model package or a name; empty: the one that `enhance` uses where none is named.
    scale
        Enlargement that is required of the model; 0: its own.
    spacing
        One of `SPACINGS`.
    uncertainty
        Whether a standard deviation is written and shown too.
    mask, slices, series, samples, output, consistent, seed, resume, overwrite
        See `EnhanceRequest`; empty texts: left out.
    """

    out: str = ""
    model: str = ""
    scale: int = 0
    mask: str = "auto"
    slices: str = ""
    series: str = ""
    spacing: str = "must fit"
    samples: int = 0
    output: str = "mean"
    uncertainty: bool = False
    consistent: bool = False
    seed: int = 0
    resume: bool = False
    overwrite: bool = False

    @property
    def uncertainty_path(self) -> Path | None:
        """Path of the standard deviation; None: there is none."""
        if not (self.uncertainty or self.samples):
            return None
        out = Path(self.out)
        suffix = full_suffix(out)
        return out.with_name(f"{out.name.removesuffix(suffix)}-uncertainty{suffix}")

    @property
    def made(self) -> list[Path]:
        """Volumes that are written, the enhanced one first."""
        return [Path(self.out), *([self.uncertainty_path] if self.uncertainty_path else [])]

    def request(self, scan: Path) -> EnhanceRequest:
        """Return the request to enhance the volume at `scan`.

        Raises
        ------
        OptionError
            If the output is not said.
        """
        if not self.out.strip():
            raise OptionError("`out`: say where the enhanced volume goes, for instance scan-enhanced.ome.zarr")
        given: dict[str, Any] = {
            "model": self.model.strip() or None,
            "scale": self.scale or None,
            "slices": self.slices.strip() or None,
            "series": self.series.strip() or None,
            "uncertainty": self.uncertainty_path,
        }
        return EnhanceRequest(
            scan=scan,
            out=Path(self.out),
            mask=self.mask.strip() or "auto",
            resample=self.spacing == "resample",
            accept_spacing=self.spacing == "accept",
            samples=self.samples,
            output=self.output,
            consistent=self.consistent,
            seed=self.seed,
            resume=self.resume,
            overwrite=self.overwrite,
            preview=False,
            **{name: value for name, value in given.items() if value is not None},
        )


def scan_of(layer: Any, folder: Path) -> Path:
    """Return a file that holds the scan of a layer: its own, or a new one in `folder` where there is none.

    A layer of another reader is taken as a clinical CT in HU whose world is that of this plugin: millimetres of LPS.

    Parameters
    ----------
    layer
        An image layer of napari.
    folder
        Where the voxels of a layer without a file of its own go, under a name that says nothing.

    Raises
    ------
    FileError
        If the file of the layer is gone.
    GeometryError
        If the layer is not a volume, or is sheared.
    """
    known = layer.metadata.get(METADATA)
    if isinstance(known, dict) and isinstance(known.get("path"), str):
        path = Path(known["path"])
        if not path.exists():
            raise FileError(f"{path}: the file of the layer is gone; open the scan again")
        return path
    data: Any = layer.data[0] if layer.multiscale else layer.data
    if layer.rgb or len(data.shape) != 3:
        raise GeometryError(f"the layer has shape {tuple(data.shape)}; expected a greyscale volume (z, y, x)")
    spacing, origin, direction = place_of(layer.data_to_world)
    path = folder / "scan.nrrd"
    write(Volume(np.asarray(data), spacing, origin, direction), path)
    return path
