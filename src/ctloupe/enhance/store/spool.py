"""Slices that wait in a temporary file until they can be written."""

from __future__ import annotations

from typing import IO

import numpy as np
from numpy.typing import NDArray

from ctloupe.volume.volume import LazyArray


class Spool:
    """Slices that wait in a temporary file.

    Parameters
    ----------
    file
        Open for reading and writing; whoever opened it closes it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def keep(self, index: int, plane: NDArray[np.float32]) -> None:
        """Put slice `index` into the file; all are of one size."""
        self._file.seek(index * plane.nbytes)
        self._file.write(np.ascontiguousarray(plane, dtype=np.float32).tobytes())

    def data(self, shape: tuple[int, int, int]) -> LazyArray:
        """Describe the slices as a volume that is read from the file."""
        self._file.flush()
        stored = np.memmap(self._file, np.float32, "r", shape=shape)
        return LazyArray(shape, np.float32, lambda block: np.array(stored[block]), "spooled slices")
