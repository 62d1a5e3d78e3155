"""The test scans of a study as one row enhances them, and the patch of them that every row is pictured with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from ctloupe.enhance.resolver import SuperResolver
from ctloupe.evaluate.report.page import square_of, varied_square
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.memory import memory
from ctloupe.foundation.records import save_record
from ctloupe.prepare.masks import Mask
from ctloupe.studies.data import HeldOutScan, StudyData
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume

CROP_SIDE: Final = 32
"""Side of the pictured square in clinical voxels."""

_SHARE_OF_MEMORY: Final = 8
"""An enhanced scan that takes more than this part of the free memory goes to a store on disk."""


@dataclass(frozen=True)
class Held:
    """A test scan as one row enhanced it.

    Attributes
    ----------
    test
        What is known of the scan.
    scan
        The scan.
    enhanced
        The scan, enhanced.
    mask
        Where it was enhanced; None: everywhere.
    """

    test: HeldOutScan
    scan: Volume
    enhanced: Volume
    mask: Mask | None


@contextmanager
def enhanced_scans(resolver: SuperResolver, data: StudyData, out: Path) -> Iterator[list[Held]]:
    """Enhance every test scan, in memory, or on disk where that would take too much of it.

    Parameters
    ----------
    resolver
        The trained model, or one without weights.
    data
        Data of the study.
    out
        Folder of the study; what is written there is removed in the end.
    """
    # Other rows may be in work at the same time.
    home = out / "enhanced" / uuid4().hex
    found = []
    try:
        for index, test in enumerate(data.scans):
            scan = data.scan(test)
            mask = data.mask(test, scan)
            size = 2 * prod(scan.shape) * resolver.scale**2
            if size * _SHARE_OF_MEMORY < memory().available:
                enhanced = resolver.enhance(scan, mask)
            else:
                store = home / f"{resolver.name}-{index}.ome.zarr"
                resolver.enhance_to(scan, store, mask, overwrite=True)
                enhanced = read(store)
            found.append(Held(test, scan, enhanced, mask))
        yield found
    finally:
        shutil.rmtree(home, ignore_errors=True)
        with suppress(OSError):
            home.parent.rmdir()


def keep_picture(out: Path, key: str, held: Held, data: StudyData) -> None:
    """Keep the same square of every row; of scan and truth too when they are not there yet.

    Parameters
    ----------
    out
        Folder of the study.
    key
        Key of the row.
    held
        The scan that is pictured, as the row enhanced it.
    data
        Data of the study.
    """
    folder, scan = out / "pictures", held.scan
    folder.mkdir(exist_ok=True)
    corner = varied_square(scan, CROP_SIDE, held.mask)
    side = min(CROP_SIDE, *scan.shape[1:])
    _save(folder / f"{key}.npy", square_of(held.enhanced, scan, corner, side))
    if (folder / "_scan.npy").is_file():
        return
    truth = data.truth(held.test, scan)
    if truth is not None:
        _save(folder / "_truth.npy", square_of(truth, scan, corner, side))
    facts = {"clinical_mm": list(scan.spacing[1:]), "corner": list(corner), "side": side}
    save_record(folder / "_spacing.json", facts)
    _save(folder / "_scan.npy", square_of(scan, scan, corner, side))


def _save(path: Path, square: NDArray[Any]) -> None:
    """Write an array that others may look for at any time."""
    with replacing(path, overwrite=True) as temporary, temporary.open("wb") as file:
        np.save(file, square, allow_pickle=False)
