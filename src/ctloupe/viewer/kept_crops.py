"""Rows of a leaderboard or a study on each other: the squares that were kept of every row, with their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctloupe.display.scene import Layer
from ctloupe.evaluate.comparison import load_comparison
from ctloupe.evaluate.suite.report import kept_crop
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.records import read_plain
from ctloupe.studies.report import kept_picture, kept_spacing
from ctloupe.volume.volume import Volume

SCAN, TRUTH = "_scan", "_truth"

Numbers = dict[str, dict[str, float]]
"""Numbers by metric, by row."""


def rows_of(folder: Path, case: str | None) -> tuple[list[Layer], Numbers]:
    """Return the kept squares of scan, rows and truth as images, and the numbers of each by its name.

    Parameters
    ----------
    folder
        Folder of a study or of a suite.
    case
        Key of the suite's case; None for the first. A study has one.

    Raises
    ------
    OptionError
        If no squares were kept, or there is no such case.
    FileError
        If a square or a record is damaged.
    """
    if (folder / "study.json").is_file():
        if case is not None:
            raise OptionError("`case` is for the folder of a suite; a study keeps one square a row")
        return _of_study(folder)
    return _of_suite(folder, case)


def _of_suite(folder: Path, case: str | None) -> tuple[list[Layer], Numbers]:
    known = sorted(one.name for one in (folder / "pictures").iterdir()) if (folder / "pictures").is_dir() else []
    if not known:
        raise OptionError(f"{folder}: no squares were kept in it; run the suite again")
    chosen = known[0] if case is None else case
    if chosen not in known:
        raise OptionError(f"`case` {chosen}: expected one of {', '.join(known)}")
    crops = {path.stem: kept_crop(path) for path in sorted((folder / "pictures" / chosen).glob("*.npz"))}
    record = load_comparison(folder / "cases" / f"{chosen}.json")
    numbers = {row: _finite(values) for row, values in record.rows.items()}
    return _layers(crops, crops[SCAN][1], folder), numbers


def _of_study(folder: Path) -> tuple[list[Layer], Numbers]:
    pictures = folder / "pictures"
    if not (pictures / f"{SCAN}.npy").is_file():
        raise OptionError(f"{folder}: no squares were kept in it; run the study again")
    planes = {path.stem: kept_picture(path) for path in sorted(pictures.glob("*.npy"))}
    coarse = kept_spacing(folder)
    sides = planes[SCAN].shape
    crops = {}
    for name, plane in planes.items():
        # All squares cover the same extent in mm.
        tall, wide = (coarse[axis] * sides[axis] / plane.shape[axis] for axis in (0, 1))
        crops[name] = (plane, (tall, wide))
    numbers: Numbers = {}
    for path in sorted((folder / "results").glob("*-seed-0.json")):
        content = read_plain(path, "result of a study", "run the study again")
        row, found = path.name.removesuffix("-seed-0.json"), dict[str, float]()
        protocols = content.get("protocols") if isinstance(content, dict) else None
        for protocol, said in (protocols if isinstance(protocols, dict) else {}).items():
            rows = said.get("rows", {}) if isinstance(said, dict) else {}
            found |= {f"{protocol}: {metric}": value for metric, value in _finite(rows.get(row, {})).items()}
        numbers[row] = found
    return _layers(crops, coarse, folder), numbers


def _layers(
    crops: Mapping[str, tuple[NDArray[Any], tuple[float, float]]], coarse: tuple[float, float], folder: Path
) -> list[Layer]:
    if SCAN not in crops:
        raise OptionError(f"{folder}: no square of the scan was kept; run it again")
    names = [SCAN, *sorted(name for name in crops if name not in (SCAN, TRUTH))]
    names += [TRUTH] if TRUTH in crops else []
    layers = []
    for name in names:
        plane, (tall, wide) = crops[name]
        # The outer edges of all squares lie on each other.
        origin = ((wide - coarse[1]) / 2, (tall - coarse[0]) / 2, 0.0)
        volume = Volume(np.asarray(plane)[None], (1.0, tall, wide), origin, modality="clinical", units="HU")
        layers.append(Layer({SCAN: "scan", TRUTH: "truth"}.get(name, name), "image", volume))
    return layers


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(one) for name, one in values.items() if isinstance(one, int | float) and np.isfinite(one)}
