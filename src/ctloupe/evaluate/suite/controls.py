"""Deliberately bad enhancers, made from the truth: what each metric does and does not see.

A protocol is worth something when it puts these where they belong. They are rows like any other, so that one sees
beside a method what a blur, noise or texture in the wrong place would have scored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from ctloupe.volume.volume import Volume

Fine = NDArray[np.float32]
Control = Callable[[Fine, int], Fine]
"""Makes (z, y, x) in HU from the truth on the clinical slices and the scale s."""


def half_a_voxel_off(truth: Fine, scale: int) -> Fine:
    """The truth, half a voxel of the scan too far right."""
    return np.asarray(shift(truth, (0, 0, scale / 2), order=1, mode="nearest"), np.float32)


def blurred(truth: Fine, scale: int) -> Fine:
    """The truth behind a Gaussian of a quarter of a scan voxel."""
    return np.asarray(gaussian_filter(truth, (0, scale / 4, scale / 4)), np.float32)


def noisy(truth: Fine, scale: int) -> Fine:
    """The truth under white noise of 150 HU."""
    return truth + np.random.default_rng(0).normal(0, 150, truth.shape).astype(np.float32)


def sharpened(truth: Fine, scale: int) -> Fine:
    """The truth with its finest detail made two and a half times as strong."""
    return truth + 1.5 * (truth - np.asarray(gaussian_filter(truth, (0, scale / 8, scale / 8)), np.float32))


def misplaced_texture(truth: Fine, scale: int) -> Fine:
    """What the scan knows, with true detail from elsewhere: it looks perfect and says nothing."""
    smooth = np.asarray(gaussian_filter(truth, (0, scale / 2, scale / 2)), np.float32)
    _, height, width = truth.shape
    return smooth + np.roll(truth - smooth, (height // 3, 5 * width // 11), (1, 2))


def misplaced_texture_blurred(truth: Fine, scale: int) -> Fine:
    """The same behind a blur."""
    return blurred(misplaced_texture(truth, scale), scale)


def meshed(truth: Fine, scale: int) -> Fine:
    """The truth under a faint pattern of 40 HU that is the same in every voxel of the scan."""
    pattern = np.random.default_rng(0).normal(size=(scale, scale))
    pattern = 40 * (pattern - pattern.mean()) / pattern.std()
    _, height, width = truth.shape
    return truth + np.tile(pattern, (height // scale, width // scale)).astype(np.float32)


CONTROLS: Final[dict[str, Control]] = {
    "half a scan voxel off": half_a_voxel_off,
    "blurred": blurred,
    "noisy": noisy,
    "sharpened": sharpened,
    "texture in the wrong place": misplaced_texture,
    "texture in the wrong place, blurred": misplaced_texture_blurred,
    "meshed": meshed,
}


def control_rows(truth: Volume, scale: int) -> dict[str, Volume]:
    """Every control of a truth on the clinical slices, as volumes of its grid; the truth is held in memory."""
    values = np.asarray(truth.data, np.float32)

    def made(control: Control) -> Any:
        return np.rint(control(values, scale)).clip(-32768, 32767).astype(np.int16)

    return {name: truth.with_data(made(control), f"control: {name}") for name, control in CONTROLS.items()}
