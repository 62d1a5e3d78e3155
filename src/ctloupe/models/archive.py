"""The one file of a packed model: a ZIP archive that holds a few known files as they are, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError, ModelError
from ctloupe.foundation.inputs import require_plain_file
from ctloupe.models.record import CONTENTS, RECORD, SIGNATURE, PackageRecord, packed_record, require_whole

SUFFIX: Final = ".ctloupe"
_KNOWN: Final = (RECORD, SIGNATURE, *CONTENTS)
_ALWAYS: Final = (1980, 1, 1, 0, 0, 0)
"""Time that every file is given, so that one model is packed into the same bytes again."""


def write_archive(folder: Path, path: Path, overwrite: bool = False) -> None:
    """Pack the files of a packed model into the file `path`; nothing is compressed, as weights hardly can be.

    Raises
    ------
    FileError
        If it exists without `overwrite` or cannot be written.
    """
    with replacing(path, overwrite) as temporary, ZipFile(temporary, "w", ZIP_STORED) as archive:
        for name in _KNOWN:
            if (folder / name).is_file():
                entry = ZipInfo(name, _ALWAYS)
                entry.external_attr = 0o644 << 16
                with (folder / name).open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, 1 << 20)


@contextmanager
def unpacked(path: Path, beside: Path | None = None) -> Iterator[tuple[Path, PackageRecord]]:
    """Yield a folder with the checked files of an archive, and its record; the folder goes in the end.

    Parameters
    ----------
    path
        The archive.
    beside
        Folder to unpack in; None: that of temporary files.

    Raises
    ------
    FileError
        If it is missing or no archive.
    ModelError
        If it holds anything but the files of a packed model, or these are not as they were packed.
    """
    require_plain_file(path)
    with TemporaryDirectory(prefix="ctloupe-model-", dir=beside) as name:
        folder = Path(name)
        try:
            with ZipFile(path) as archive:
                _unpack(archive, folder, path)
        except FileNotFoundError as error:
            raise FileError(f"{path}: no such file") from error
        except (BadZipFile, EOFError, NotImplementedError, ValueError) as error:
            raise FileError(f"{path}: not a packed model, or a damaged one ({error}); get it again") from error
        record = packed_record(folder)
        if record is None:
            raise ModelError(f"{path}: holds no {RECORD}, so it is no packed model; make it with 'ctloupe models pack'")
        require_whole(folder, record)
        yield folder, record


def _unpack(archive: ZipFile, folder: Path, path: Path) -> None:
    for entry in archive.infolist():
        if entry.filename not in _KNOWN:
            raise ModelError(f"{path}: holds {entry.filename[:80]!r}, which no packed model does; it is left alone")
        # What is not compressed cannot be larger than the archive.
        if entry.compress_type != ZIP_STORED or entry.file_size != entry.compress_size:
            raise ModelError(f"{path}: {entry.filename} is compressed, which no packed model is; pack it again")
        with archive.open(entry) as source, (folder / entry.filename).open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
