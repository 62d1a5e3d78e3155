"""A rating study with pictures, as small as one can be."""

import numpy as np

from ctloupe.rate.request import DesignRequest, design_study
from ctloupe.volume.formats import write
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import Volume


def small_study(folder, **changes):
    """Make a study of two methods, three patches and two raters in ``folder/study``."""
    random = np.random.default_rng(0)
    scan = Volume(
        random.integers(-1000, 200, (4, 32, 32)).astype(np.int16), (2.0, 0.8, 0.8), modality="clinical", units="HU"
    )
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, 2)
    outputs = []
    for name in ("one", "two"):
        values = random.integers(-1000, 200, (4, 64, 64)).astype(np.int16)
        volume = Volume(values, spacing, origin, modality="clinical", units="HU")
        outputs.append((name, write(volume, folder / f"{name}.mha", overwrite=True)))
    request = {
        "out": folder / "study",
        "experiment": "isbi",
        "input": write(scan, folder / "scan.mha", overwrite=True),
        "output": tuple(outputs),
        "mask": "none",
        "side": 8,
        "window": (-1000, 200),
        "patches": 3,
        "raters": ("a", "b"),
        "repeats": 2,
    }
    return design_study(DesignRequest(**(request | changes)))[0], folder / "study"
