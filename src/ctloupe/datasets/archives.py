"""Archives of others are unpacked into their own folder, and nothing in them leads out of it."""

from __future__ import annotations

import errno
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError

MOST_MEMBERS: Final = 1_000_000

_BLOCK: Final = 1 << 20

_DAMAGED: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
)


class _Member:
    """A file or folder of an archive, whose name was looked at."""

    def __init__(self, name: str, size: int | None, content: IO[bytes] | None) -> None:
        self.path = _inside(name)
        self.size, self.content = size, content


class _Refused(Exception):
    """An archive holds what is not unpacked."""


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a zip or tar file, compressed or not, into a new folder, and return the number of its files.

    The folder appears whole or not at all. Of the members only their content counts: no owner, no rights.

    Parameters
    ----------
    archive
        File to read; it is known by its content.
    folder
        Folder to make.

    Raises
    ------
    FileError
        If it is no such archive, is damaged or locked by a password, does not fit on the disk, or holds a link, a
        device, a name that leads out of the folder, or one name twice.
    """
    count, total, seen = 0, 0, set[str]()
    with replacing(folder) as temporary:
        temporary.mkdir()
        free = shutil.disk_usage(temporary).free
        try:
            for member in _members(archive):
                target = temporary / member.path
                key = str(member.path).casefold()
                if member.content is None or member.size is None:
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                if key in seen:
                    raise _Refused(f"holds {str(member.path)!r} twice")
                seen.add(key)
                count, total = count + 1, total + member.size
                if total > free:
                    raise _Refused(f"holds more than the {free / 1e9:.2f} GB that are free")
                if count > MOST_MEMBERS:
                    raise _Refused(f"holds more than {MOST_MEMBERS:,} files")
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.content as content, target.open("xb") as written:
                    shutil.copyfileobj(content, written)
        except _Refused as error:
            raise FileError(f"{archive}: {error}; it is not unpacked") from error
        except (*_DAMAGED, OSError) as error:
            # Damage within bzip2 is an error without a number; those of the disk have one.
            if isinstance(error, OSError) and error.errno not in (None, errno.EEXIST, errno.ENOTDIR):
                raise
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise FileError(f"{archive}: damaged archive ({why}); remove it and fetch it again") from error
    return count


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        yield from _of_zip(archive)
    elif tarfile.is_tarfile(archive):
        yield from _of_tar(archive)
    else:
        raise _Refused("neither a zip nor a tar file")


def _of_zip(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for one in opened.infolist():
            kind = stat.S_IFMT(one.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Refused(f"holds {one.filename!r}, a link or a device")
            if one.flag_bits & 1:
                raise _Refused("is locked by a password")
            if one.is_dir():
                yield _Member(one.filename, None, None)
            else:
                yield _Member(one.filename, one.file_size, opened.open(one))


def _of_tar(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as opened:
        for one in opened:
            if one.isdir():
                yield _Member(one.name, None, None)
            elif one.isfile():
                yield _Member(one.name, one.size, opened.extractfile(one))
            else:
                raise _Refused(f"holds {one.name!r}, a link or a device")
        _require_end(opened)


def _require_end(opened: tarfile.TarFile) -> None:
    """Refuse an archive that goes on after what was taken for its end, or whose own checksum is wrong.

    The library takes a damaged header for the end, and never reads as far as the checksum of a compressed file.
    """
    rest = opened.fileobj
    if rest is None:
        return
    rest.seek(opened.offset)
    if any(rest.read(tarfile.BLOCKSIZE)):
        raise tarfile.ReadError("a header in its middle is damaged")
    while rest.read(_BLOCK):
        pass


def _inside(name: str) -> PurePosixPath:
    """Return the name of a member as a path that stays in its folder, on every system."""
    path = PurePosixPath(name)
    leads_out = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not name.isprintable()
    if leads_out:
        raise _Refused(f"holds {name!r}, a name that may lead out of its folder")
    return path
