"""What a file format is to the rest of the package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location, Remote
from ctloupe.volume.geometry import Triple
from ctloupe.volume.volume import Volume

HEAD_BYTES = 8192
"""Number of bytes of a file that `Format.recognises` is shown."""

FormatOption = Literal["series", "voxel_size", "source"]


class Format(ABC):
    """One file format: what it is called, how it is recognised, read and written, and what it can hold.

    A subclass lives in a folder of its own and imports the library of its format only inside `read` and `write`, so
    that every format can be listed at once. The contract is tested in ``tests/volume/formats/test_contract.py``.

    Attributes
    ----------
    name
        Short name in lower case, as `detect` gives it.
    title
        Name as people write it, for messages.
    suffixes
        Suffixes of files that can be read, in lower case.
    only_read
        Those of `suffixes` that cannot be written.
    takes
        Options of `read` and `write` that mean something to this format: ``series`` (which of several a folder
        holds), ``voxel_size`` (files may fail to state it) and ``source`` (an output refers to the files it was
        made from).
    streams
        Whether a volume is written slab by slab, so that it need not fit into memory.
    resumable
        Whether a volume can be written slice by slice in any order, by several writers, and continued later.
    holds_direction
        Whether any direction can be stored; otherwise only the identity.
    is_folder
        Whether a volume is written as a folder.
    holds_slices
        Whether a folder of such files is one volume.
    searched_below
        Whether those files may also lie in subfolders, where the folder itself holds none.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    only_read: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[frozenset[FormatOption]] = frozenset()
    streams: ClassVar[bool] = False
    resumable: ClassVar[bool] = False
    holds_direction: ClassVar[bool] = True
    is_folder: ClassVar[bool] = False
    holds_slices: ClassVar[bool] = False
    searched_below: ClassVar[bool] = False

    @property
    def writable_suffixes(self) -> tuple[str, ...]:
        """Suffixes of files that can be written."""
        return tuple(suffix for suffix in self.suffixes if suffix not in self.only_read)

    @abstractmethod
    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether `path` is of this format, by its content.

        Parameters
        ----------
        path
            A file; or a folder, which is this format if it carries a mark of its own.
        head
            The first `HEAD_BYTES` bytes of a file; nothing of a folder.
        """

    def decodes_natively(self, path: Path) -> bool:
        """Whether a library of another language decodes the voxels at `path`: a fault of it would end the process."""
        return False

    @abstractmethod
    def read(self, path: Path, series: str | int | None = None, voxel_size: Triple | None = None) -> Volume:
        """Return the volume at `path`, with its voxels read on demand where the format allows it.

        Parameters
        ----------
        path
            A file or folder of this format.
        series, voxel_size
            See `ctloupe.read`; None unless in `takes`.

        Raises
        ------
        CtLoupeError
            If anything is damaged, cut short, ambiguous or not a volume: a fault is never read as data.
        """

    @abstractmethod
    def write(self, volume: Volume, path: Path, source: Sequence[Path] = ()) -> None:
        """Write `volume` to `path`, which does not exist and ends in one of `writable_suffixes`.

        Parameters
        ----------
        volume
            Voxels are uint8, int8, uint16, int16, uint32, int32 or float32.
        path
            A temporary name. What is written there takes its final name afterwards, or is removed after an error.
        source
            Files that the volume was made from; empty unless in `takes`.

        Raises
        ------
        CtLoupeError
            If the format cannot hold the orientation or the values, or a value is not finite.
        OSError
            If the disk refuses it.
        """

    def coarser(self, path: Path, volume: Volume) -> tuple[Volume, ...]:
        """Coarser copies of `volume`, which was read from `path`, that are stored with it; finer ones first."""
        return ()

    def lacking(self, path: Location) -> tuple[str, ...]:
        """What to say of parts of a volume that are not there; looked for where somebody asks, as it may take long.

        Raises
        ------
        FileError
            If something that belongs to the volume is damaged.
        """
        return ()

    def recognises_remote(self, path: Remote) -> bool:
        """Whether a place on a server is of this format; one that only files have is nowhere."""
        return False

    def read_remote(self, path: Remote) -> Volume:
        """Return the volume at a place on a server, with its voxels read on demand; see `read`."""
        raise FileError(f"{path}: {self.title} is not read from a server; copy it to this disk")

    def coarser_remote(self, path: Remote, volume: Volume) -> tuple[Volume, ...]:
        """The same as `coarser` of a volume on a server."""
        return ()

    def files(self, path: Path) -> tuple[Path, ...]:
        """Files or folders that hold a volume called `path`, in the order in which they may appear; `path` is last."""
        return (path,)

    def parts(self, path: Path) -> tuple[Path, ...]:
        """Files or folders that the volume at `path` is read from: `path`, and those that its header names."""
        return (path,)

    def source_files(self, path: Path, series: str | int | None = None) -> list[Path]:
        """Files of the volume at `path` that a format which takes ``source`` can refer to."""
        return []
