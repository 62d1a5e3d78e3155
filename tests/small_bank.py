"""A bank folder as small as a training can be of use with."""

from pathlib import Path

import numpy as np

from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.volume import Volume


def write_small_bank(folder: Path) -> None:
    """Write a few 12×12 clinical and 48×48 µCT patches into a folder."""
    rng = np.random.default_rng(0)
    clinical = Volume(rng.normal(-800, 100, (3, 40, 40)).astype(np.int16), (0.6, 0.6, 0.6))
    micro = Volume(rng.normal(6000, 3000, (3, 120, 120)).clip(0, 15000).astype(np.int16), (0.15, 0.15, 0.15))
    for name, volume, size, window in (
        ("clinical", clinical, 12, IntensityWindow(-1000, 500)),
        ("micro", micro, 48, IntensityWindow(0, 15000)),
    ):
        bank = PatchBank.sample([(name, volume, None)], size, per_volume=11, window=window, seed=0)
        bank.save(folder / f"{name}.bank")
