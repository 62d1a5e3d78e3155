"""The protocols by name and version, with every number they give."""

from __future__ import annotations

from typing import Final

from ctloupe.evaluate.comparison import Metric, Recipe
from ctloupe.evaluate.metrics.airway_walls import WALL_MEANINGS
from ctloupe.evaluate.metrics.structure import STRUCTURE_MEANINGS
from ctloupe.phantom.anatomies.registry import anatomies

DATA_RANGE_HU: Final = 1500.0
"""Stated range of HU (−1000 … 500) that PSNR and SSIM refer to."""

_CONSISTENCY: Final = {
    "consistency RMS (HU)": Metric(
        "root mean square of (mean of each s×s block of SR − scan) over the mask; 0 is perfect", "less"
    ),
    "consistency bias (HU)": Metric("mean of (mean of each s×s block of SR − scan) over the mask", "near 0"),
}
_REALISM: Final = {
    "spectrum distance to µCT (dB)": Metric(
        "mean absolute difference of the power spectra of SR and unpaired µCT, both mapped to [−1, 1] by their "
        "windows, over tiles inside the mask; 0 is the same texture",
        "less",
    ),
    "sliced Wasserstein to µCT": Metric(
        "mean over three Laplacian levels of the sliced Wasserstein distance between 7×7 patches of SR and unpaired "
        "µCT, in standard deviations of the µCT's level; 0 is the same texture",
        "less",
    ),
    "m-HuM (I2)": Metric(
        "ISBI 2021, Eq. 5: distance I2 of the Hu moments of each enhanced slice to the nearest µCT slice, averaged; "
        "0 is identical",
        "less",
    ),
}
_PAIRED: Final = {
    "PSNR (dB)": Metric(
        f"10·log10(range² / MSE) against the truth over the mask, range {DATA_RANGE_HU:g} HU; more is better", "more"
    ),
    "SSIM": Metric(
        "mean structural similarity, 11×11 Gaussian window σ 1.5, slice by slice against the truth, range "
        f"{DATA_RANGE_HU:g} HU; 1 is identical",
        "more",
    ),
    "MAE (HU)": Metric("mean absolute difference to the truth over the mask; 0 is perfect", "less"),
    "resolution (mm)": Metric(
        "finest in-plane period at which the Fourier ring correlation with the truth is above 1/7; twice the pixel is "
        "the best there is",
        "less",
    ),
    "resolution gain": Metric("resolution of bicubic interpolation over that of SR; 1 is no gain", "more"),
    "half-bit resolution (mm)": Metric("the same where it is above the half-bit threshold", "less"),
    "spectrum distance (dB)": Metric(
        "mean absolute difference of the radial power spectra of SR and truth; 0 is the same texture, wherever it lies",
        "less",
    ),
}


def _structures() -> dict[str, Metric]:
    found = {}
    for name in dict.fromkeys(rule.name for one in anatomies() for rule in one.structures):
        for kind, metric in STRUCTURE_MEANINGS.items():
            key = f"{kind} {name}s (/cm³)" if kind in ("false", "missed") else f"{name} {kind}"
            found[key] = Metric(f"{name}: {metric.meaning}", metric.better)
    return found


PAIRED_PHANTOM: Final = Recipe(
    "paired-phantom",
    1,
    "the truth of the same anatomy",
    _PAIRED | _CONSISTENCY | _structures() | WALL_MEANINGS | _REALISM,
)
"""Numbers that were called ``paired-truth`` before have the same definitions as far as they go."""

NO_TRUTH: Final = Recipe(
    "no-truth",
    2,
    "the scan itself and, when given, unpaired µCT",
    _CONSISTENCY
    | {
        "decorrelation resolution (mm)": Metric(
            "decorrelation analysis of single slices (Descloux 2019): finest period at which they hold something; "
            "invented detail counts as much as true detail; a dash: noise, or detail up to the finest frequency",
            "less",
        )
    }
    | _REALISM,
)
_PSEUDO: Final = {
    "PSNR peak 1 (dB)": Metric(
        "JMI 2022: 10·log10(1 / MSE) on data in [−1, 1]; 6.02 dB below the usual range of 2", "more"
    ),
    "SSIM one window": Metric("JMI 2022: one window over the whole image, C1 = C2 = 1e-4", "more"),
}
JMI: Final = Recipe("jmi", 1, "downsampled µCT enhanced again (JMI 2022)", _PSEUDO)
SYNTH: Final = Recipe("synth", 1, "µCT made clinical-like by the method's own network (Synth 2020)", _PSEUDO)
ISBI: Final = Recipe(
    "isbi",
    1,
    "unpaired µCT slices (ISBI 2021)",
    {
        "m-HuM": Metric(
            "ISBI 2021, Eq. 5: distance I2 of Hu moments of each enhanced slice to the nearest µCT slice of whatever "
            "anatomy, averaged over slices; 0 is identical",
            "less",
        )
    },
)
RECIPES: Final = {one.name: one for one in (PAIRED_PHANTOM, JMI, SYNTH, ISBI, NO_TRUTH)}
