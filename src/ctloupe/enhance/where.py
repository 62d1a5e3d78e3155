"""Where a volume is enhanced: inside the mask that was asked for, or the one of the kind that the model knows."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import OptionError
from ctloupe.prepare.masks import MaskKind, kind_of, mask_of
from ctloupe.volume.volume import Volume

AS_TRAINED: Final = "auto"


def resolved_mask(asked: str, trained: MaskKind | None) -> str:
    """Turn ``auto`` into the kind of mask that a model was trained with; anything else stays what it is.

    Parameters
    ----------
    asked
        ``auto``, a kind of mask or the path of a mask file.
    trained
        Kind of the mask that the model's patches were drawn in; None for interpolations, which need no mask.

    Raises
    ------
    OptionError
        If the model was trained inside mask files, of which there is none for another scan.
    """
    if asked != AS_TRAINED:
        return asked
    if trained == "file":
        raise OptionError(
            "`mask` auto: this model was trained inside mask files; give `mask` FILE with a mask of the same tissue on "
            "the grid of this scan, or `mask` lungs, box or none"
        )
    return trained or "none"


def mask_to_enhance(asked: str, volume: Volume) -> NDArray[np.bool_] | None:
    """Make the mask in which a volume is enhanced; lungs are closed over the vessels that enter them.

    Parameters
    ----------
    asked
        A kind of mask or the path of a mask file; see `ctloupe.prepare.masks.mask_of`.
    volume
        The scan.

    Returns
    -------
    bool array of shape (z, y, x), or None for every voxel
    """
    mask = mask_of(asked, volume)
    if mask is None or kind_of(asked) != "lungs":
        return mask
    from ctloupe.prepare.lungs import lung_hull

    return lung_hull(mask, volume.spacing)


def blends_outside(asked: str) -> bool:
    """Whether the blend lies outside of the mask.

    It does around lungs, which are enhanced fully to the pleura. Of every other mask nothing outside is touched.
    """
    return kind_of(asked) == "lungs"
