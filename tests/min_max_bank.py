"""Two scans of unlike brightness and a µCT, and the bank of them in which each is scaled by its own range."""

from pathlib import Path

import numpy as np

from ctloupe.prepare.banks import MIN_MAX, BankRequest, prepare_banks
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume


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
