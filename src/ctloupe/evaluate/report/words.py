"""A comparison said in words, so that a reader need not know the metrics to know the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ctloupe.evaluate.comparison import BASELINE, Comparison
from ctloupe.evaluate.tissues import TissueError

_QUESTIONS: Final = (
    ("Right value at the right voxel", ("PSNR (dB)", "SSIM", "MAE (HU)", "PSNR peak 1 (dB)", "SSIM one window")),
    ("Finest true detail", ("resolution (mm)", "half-bit resolution (mm)")),
    ("Finest detail of any kind, true or invented", ("decorrelation resolution (mm)",)),
    ("Sharpness of airway walls", ("edge width (mm)", "walls found", "wall thickness error (mm)")),
    ("Structures where they are", ("lumen Dice", "vessel Dice", "soft space Dice")),
    ("Structures invented", ("false lumens (/cm³)", "false vessels (/cm³)", "false soft spaces (/cm³)")),
    ("Structures lost", ("missed lumens (/cm³)", "missed vessels (/cm³)", "missed soft spaces (/cm³)")),
    ("Texture like the truth's or the µCT's", ("spectrum distance (dB)", "spectrum distance to µCT (dB)", "m-HuM")),
    ("Agreement with the scan it was made from", ("consistency RMS (HU)", "consistency bias (HU)")),
)
_EQUAL: Final = 5e-3


def in_words(comparison: Comparison, name: str) -> list[str]:
    """One sentence for each question that was asked: how `name` compares with bicubic interpolation."""
    said = []
    for question, metrics in _QUESTIONS:
        parts = [_verdict(comparison, name, metric) for metric in metrics if metric in comparison.definitions]
        if parts:
            said.append(f"{question}: {'; '.join(parts)}.")
    return said


def _verdict(comparison: Comparison, name: str, metric: str) -> str:
    ours, plain = (comparison.rows[row].get(metric, float("nan")) for row in (name, BASELINE))
    if not (np.isfinite(ours) and np.isfinite(plain)):
        return f"{metric} {ours:.3g} (bicubic {plain:.3g})"
    way = comparison.better.get(metric, "more")
    one, other = (abs(ours), abs(plain)) if way == "near 0" else (ours, plain)
    if np.isclose(one, other, rtol=_EQUAL):
        verdict = "as good as"
    else:
        verdict = "better than" if (one > other) == (way == "more") else "worse than"
    return f"{metric} {ours:.3g}, {verdict} bicubic ({plain:.3g})"


def tissues_in_words(tissues: Mapping[str, TissueError], name: str) -> str:
    """One sentence that says in which tissues `name` is nearer to the truth than bicubic interpolation."""
    nearer = [tissue for tissue, one in tissues.items() if one.mae_hu[name] < one.mae_hu[BASELINE]]
    farther = [tissue for tissue in tissues if tissue not in nearer]
    return (
        f"Mean absolute error against the truth, {name} compared with bicubic: "
        f"smaller in {', '.join(nearer) or 'no tissue'}; larger in {', '.join(farther) or 'no tissue'}."
    )


HOW_TO_READ: Final = (
    "How to read this. PSNR, SSIM and MAE reward an image for being right on average, voxel by voxel, and a smooth "
    "image is hard to beat there. Spectrum and texture distances reward an image for looking like µCT, wherever its "
    "detail lies; an image can win them with invented detail. Resolution, and structures found, invented and lost, "
    "tell which detail is true. No single row is enough, and a method that wins texture but invents structures must "
    "not be read for structures."
)
