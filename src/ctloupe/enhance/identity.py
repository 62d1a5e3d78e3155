"""What decides every byte of an enhanced volume, so that only the same work is continued."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.region import Region
from ctloupe.enhance.scan_part import Mask
from ctloupe.volume.digest import digest_of
from ctloupe.volume.volume import Volume


class Identity(BaseModel):
    """Facts by which two pieces of work are known to give the same bytes.

    Attributes
    ----------
    scan, mask
        Digests of the voxels; None for no mask.
    region
        Index ranges (start, stop) of the scan that are enhanced, along z, y and x.
    model
        Name and weights of the model, and what of its description the result depends on.
    precision, device
        Type of the features, and kind of the device.
    options
        Every option that can change the result, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scan: str
    mask: str | None
    region: tuple[tuple[int, int], ...]
    model: dict[str, Any]
    precision: str
    device: str
    options: dict[str, Any]

    @classmethod
    def of(
        cls, model: LoadedModel, options: EnhanceOptions, scan: Volume, mask: Mask | None, region: Region | None
    ) -> Identity:
        """Identity of enhancing `region` of a whole scan and its mask."""
        ranges = [(0, length) for length in scan.shape] if region is None else [(one.start, one.stop) for one in region]
        facts = {
            "scan": digest_of(scan),
            "mask": None if mask is None else hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()[:32],
            "region": ranges,
            "model": {
                "name": model.name,
                "weights": model.digest(),
                "scale": model.scale,
                "window": [model.window.low, model.window.high],
                "patch_size": model.patch_size,
            },
            "precision": str(options.dtype(model.device)),
            "device": model.device.type,
            "options": options.deciding(),
        }
        return cls.model_validate(facts)

    def differs_from(self, other: Identity) -> list[str]:
        """Names of what is not the same; options in backquotes."""
        facts = [name for name in type(self).model_fields if name != "options"]
        options = sorted(self.options.keys() | other.options.keys())
        absent = object()
        return [name for name in facts if getattr(self, name) != getattr(other, name)] + [
            f"`{name}`" for name in options if self.options.get(name, absent) != other.options.get(name, absent)
        ]
