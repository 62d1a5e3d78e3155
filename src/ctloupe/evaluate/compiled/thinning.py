"""Thinning of structures to lines, compiled from C, or by scikit-image."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from ctloupe.foundation.compiled import library


class _Job(ctypes.Structure):
    """What `thin.c` knows as that."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("cubes", "rows", "candidates")),
        *((name, ctypes.c_int64) for name in ("planes", "rows_of_plane", "row")),
    ]


@cache
def _library() -> ctypes.CDLL | None:
    return library("_thin", Path(__file__).parent, ["thin"])


def thinned(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Thin a structure of cubes to lines (Lee, Kashyap and Chu, CVGIP 56, 1994).

    What is compiled leaves the cubes that scikit-image's `skeletonize` does up to release 0.26, in a fraction of the
    time: cubes are looked at again only where something has changed beside them.

    Parameters
    ----------
    flags : bool (z, y, x)
        The structure; beyond the grid nothing is of it.

    Returns
    -------
    intp (n, 3)
        Cubes that are left, row by row.
    """
    compiled = _library()
    # Of a single plane scikit-image thins four sides instead of six.
    if compiled is None or len(flags) == 1:
        return np.argwhere(skeletonize(flags, method="lee"))
    cubes = np.pad(flags, 1).view(np.uint8)
    rows = cubes.max(2)
    candidates = np.empty(np.count_nonzero(cubes), np.int64)
    job = _Job(*(one.ctypes.data for one in (cubes, rows, candidates)), *cubes.shape)
    compiled.thin(ctypes.byref(job))
    return np.argwhere(cubes) - 1
