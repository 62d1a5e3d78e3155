"""How long a suite will take on this machine: the models are tried on one slice, the rest goes by the voxels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from ctloupe.foundation.amounts import duration_in_words
from ctloupe.foundation.beside import cores
from ctloupe.volume.volume import Volume

SECONDS_A_CASE: Final = 2.0
"""Seconds that every case takes, however small it is."""
SECONDS_TO_MEASURE: Final = 0.6
"""Seconds for a million fine pixels of one row on one usual core, by all metrics; threads share that."""
_HU_OF_TISSUE: Final = -800
_NOISE_HU: Final = 40


class Enhances(Protocol):
    """What a trained model does with a scan."""

    def enhance(self, volume: Volume) -> Volume:
        """Return the enhanced volume."""


def seconds_a_slice(model: Enhances, side: int) -> float:
    """Try a model on one slice of noise of `side` pixels, and return the seconds that it takes."""
    values = np.random.default_rng(0).normal(_HU_OF_TISSUE, _NOISE_HU, (1, side, side)).astype(np.int16)
    scan = Volume(values, (1.0, 0.5, 0.5), modality="clinical", units="HU")
    # The first time, libraries prepare themselves.
    for _ in range(2):
        begun = time.perf_counter()
        model.enhance(scan)
        spent = time.perf_counter() - begun
    return spent


def seconds_of_case(
    size: tuple[int, int, int], slices: int, models: Sequence[float], others: int, scans: int = 1
) -> float:
    """Return what a case is expected to take when its phantoms are there.

    Parameters
    ----------
    size
        Fine voxels (z, y, x) of its phantom.
    slices
        Slices of its scan.
    models
        Seconds a slice of every model.
    others
        Rows that no model makes: bicubic, the truth, controls.
    scans
        Number of scans of the case that are enhanced.
    """
    fine = slices * size[1] * size[2] / 1e6
    measuring = (len(models) + others) * fine * SECONDS_TO_MEASURE / min(2, cores())
    return float(SECONDS_A_CASE + scans * slices * sum(models) + measuring)


def plan_in_words(seconds: Sequence[float], rows: int) -> str:
    """Say what is expected before the first case, and how the cores are used."""
    cases = "1 case" if len(seconds) == 1 else f"{len(seconds)} cases"
    return (
        f"plan: {cases}, {rows} {'row' if rows == 1 else 'rows'}, about {duration_in_words(sum(seconds))}; "
        f"one case after another, networks and metrics share {cores()} {'core' if cores() == 1 else 'cores'}"
    )


def left_in_words(spent: float, seconds: Sequence[float], done: int) -> str:
    """Say how far the work is, and what is left when the cases so far took `spent` seconds together."""
    left = spent * sum(seconds[done:]) / sum(seconds[:done])
    ending = f", about {duration_in_words(left)} left" if done < len(seconds) else f", in {duration_in_words(spent)}"
    return f"  {done} of {len(seconds)} cases done{ending}"
