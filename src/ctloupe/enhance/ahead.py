"""A scan whose lungs are found while this process still imports the large libraries.

Nothing here needs torch. Morphology lets other threads go on, so that it finds a core that importing leaves idle;
reading does not, and comes before.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ctloupe.enhance.where import AS_TRAINED, mask_to_enhance
from ctloupe.foundation.errors import CtLoupeError
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.records import load_record
from ctloupe.methods.package_files import DESCRIPTION
from ctloupe.models.names import model_path
from ctloupe.prepare.masks import MaskKind
from ctloupe.volume.collection import holds_several
from ctloupe.volume.formats import read
from ctloupe.volume.formats.apart import require_survivable
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ScanAhead:
    """A scan, and its lungs as another thread finds them.

    Attributes
    ----------
    path
        Where the scan is.
    scan
        The scan.
    lungs
        Mask to enhance of the kind ``lungs``.
    """

    path: Location
    scan: Volume
    lungs: Future[Mask | None]

    def mask(self, asked: str, scan: Volume) -> Mask | None:
        """Return the mask of `scan`, when it has been found; it is made now where nobody looks for it.

        Parameters
        ----------
        asked, scan
            See `mask_to_enhance`; `scan` may be another than the one that was read, for instance resampled.

        Raises
        ------
        CtLoupeError
            If there is none.
        """
        return self.lungs.result() if asked == "lungs" and scan is self.scan else mask_to_enhance(asked, scan)


def scan_at(path: Location, series: str | None, voxel_size: Triple | None) -> Volume:
    """Read the scan at a place, where that cannot end the program; see `ctloupe.read`.

    Raises
    ------
    CtLoupeError
        If it cannot be read, or a library dies of it.
    """
    require_survivable(path, series, voxel_size)
    return read(path, series=series, voxel_size=voxel_size)


@contextmanager
def scan_ahead(
    path: Location,
    series: str | None,
    voxel_size: Triple | None,
    mask: str,
    model: str | Path,
) -> Iterator[ScanAhead | None]:
    """Read a scan, and let another thread look for its lungs during the block, where these will be asked for.

    Parameters
    ----------
    path, series, voxel_size
        See `ctloupe.read`; nothing is done for a folder of several scans or one on a server.
    mask, model
        Kind of mask, ``auto`` for that of the model, and the model.

    Yields
    ------
    ScanAhead or None
        None where nothing is done ahead, or the scan cannot be read, as will be told when it is asked for.
    """
    kind = mask_of_model(model) if mask == AS_TRAINED else mask
    if kind != "lungs" or isinstance(path, Remote) or holds_several(path):
        yield None
        return
    try:
        scan = scan_at(path, series, voxel_size)
    except (CtLoupeError, OSError):
        yield None
        return
    # Imported here: of two threads that import the same library, one may find half of it.
    from ctloupe.prepare import lungs  # noqa: F401

    pool = ThreadPoolExecutor(1)
    try:
        yield ScanAhead(path, scan, pool.submit(mask_to_enhance, kind, scan))
    finally:
        # What went wrong is told before a thread that is still at work has ended.
        pool.shutdown(wait=False, cancel_futures=True)


class _OfModel(BaseModel):
    """What is read here of a model's description."""

    mask: MaskKind = "lungs"


def mask_of_model(model: str | Path) -> MaskKind | None:
    """Return the kind of mask that a model was trained in; None where that takes more than reading its description."""
    try:
        described = model_path(model) / DESCRIPTION
        return load_record(described, _OfModel, "model description", "").mask if described.is_file() else None
    except (CtLoupeError, OSError):
        return None
