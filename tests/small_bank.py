"""A bank folder as small as a training can be of use with."""

from pathlib import Path

import numpy as np

from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.banks import MIN_MAX, BankRequest, prepare_banks
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.formats import write
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


def write_min_max_bank(folder: Path) -> None:
    """Write two scans, the second of twice the HU of the first and 500 more, a µCT, and the ``bank`` made of them."""
    rng = np.random.default_rng(0)
    values = rng.normal(-800, 100, (3, 40, 40)).round()
    micro = rng.normal(6000, 3000, (3, 120, 120)).clip(0, 15000)
    paths = [
        write(Volume(data.astype(np.int16), (spacing,) * 3), folder / f"{name}.nii.gz")
        for name, data, spacing in (("one", values, 0.6), ("two", 2 * values + 500, 0.6), ("micro", micro, 0.15))
    ]
    request = BankRequest(
        clinical=(paths[0], paths[1]),
        micro=(paths[2],),
        scale=4,
        patch_size=12,
        per_case=11,
        clinical_mask="none",
        micro_mask="none",
        clinical_window=MIN_MAX,
        micro_window=MIN_MAX,
    )
    prepare_banks(request, folder / "bank")
