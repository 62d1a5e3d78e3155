"""Reduced copies of CTs that stand for clinical scans: JMI 2022, Table 6, has one set of CTs as both domains."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.protocols.jmi import shrink_cubic
from ctloupe.images.windows import IntensityWindow
from ctloupe.studies.recipe import Recipe, as_request
from ctloupe.volume.geometry import coarsened_grid
from ctloupe.volume.volume import LazyArray, Volume


def reduced_copy(ct: Volume, scale: int, recipe: Recipe, seed: int) -> tuple[Volume, Volume]:
    """Reduce every slice by cubic interpolation without antialiasing, and add noise to some of them.

    The code released with JMI 2022 adds noise to a tenth of the patches. Here it is a part of the slices, drawn with
    `seed`, so that a scan can be enhanced as a whole; the part of the patches that have noise is the same.

    Parameters
    ----------
    ct
        CT in HU.
    scale
        Factor in y and x.
    recipe
        Its window, a part of whose width the noise is, and which slices are given noise.
    seed
        Seed of slices and noise.

    Returns
    -------
    copy : Volume
        int16 HU, clipped to the window, computed slice by slice when read.
    whole : Volume
        The part of the CT that it covers: all but rows and columns beyond a multiple of `scale`.
    """
    height, width = (length // scale * scale for length in ct.shape[1:])
    whole = ct.crop(slice(None), slice(0, height), slice(0, width))
    asked = as_request(recipe.clinical_window).of(whole, None)
    window = IntensityWindow(asked.low, asked.high)
    how = recipe.reduced
    noise, share = (0.0, 0.0) if how is None else (how.noise, how.share)
    noisy = np.random.default_rng(seed).random(whole.shape[0]) < share

    def plane(z: int) -> NDArray[np.int16]:
        unit = shrink_cubic(np.asarray(window.to_unit(np.asarray(whole.data[z]))), scale)
        if noisy[z]:
            # The unit range is twice as wide as the [0, 1] of the paper's code.
            unit = unit + np.random.default_rng([seed, z]).normal(0, 2 * noise, unit.shape).astype(np.float32)
        return np.rint(window.from_unit(np.clip(unit, -1, 1))).astype(np.int16)

    def read_block(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        planes = [plane(z) for z in range(*block[0].indices(whole.shape[0]))]
        return np.stack(planes)[:, block[1], block[2]]

    shape = (whole.shape[0], height // scale, width // scale)
    spacing, origin = coarsened_grid(whole.spacing, whole.origin, whole.direction, scale)
    data = LazyArray(shape, np.int16, read_block, "reduced CT")
    note = f"reduced by {scale} in y and x with cubic interpolation" + (
        f", noise in {noisy.sum()} slices" if share else ""
    )
    return Volume(data, spacing, origin, whole.direction, "clinical", "HU", (*whole.history, note)), whole
