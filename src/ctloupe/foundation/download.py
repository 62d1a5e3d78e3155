"""Files from the network: resumed, checked, and whole under their final name or not there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ctloupe.foundation.atomic import explained, move_into_place
from ctloupe.foundation.download_part import Part, receive, shown
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.inputs import require_apart, require_plain_file
from ctloupe.foundation.lock import locked
from ctloupe.foundation.progress import Progress, Silent

CACHE_VARIABLE: Final = "CTLOUPE_CACHE"
SCHEMES: Final = ("https", "http", "file")

_DIGITS: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Fetched:
    """A file that is whole and right.

    Attributes
    ----------
    path
        Where it is.
    sha256
        Checksum found in what lies on the disk, as ``sha256:`` and 64 digits.
    size
        Its bytes.
    new
        Whether it came now; False where it was there already.
    """

    path: Path
    sha256: str
    size: int
    new: bool


def cache_folder() -> Path:
    """Return the folder for what is fetched once and used often; it need not exist.

    That is what the environment variable ``CTLOUPE_CACHE`` names, else the folder of this user's caches, which on
    Linux ``XDG_CACHE_HOME`` decides.
    """
    import pooch

    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(pooch.os_cache("ctloupe"))


def fetch(
    address: str,
    destination: Path,
    *,
    checksum: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
    tries: int = 3,
) -> Fetched:
    """Bring one file from its address to `destination`, going on where an earlier attempt broke off.

    What has come so far is kept beside `destination` in a hidden file, with what the server said about its version;
    the rest is asked for on the condition that the file there is still that one. The file gets its name only when it
    is whole and has the right checksum. A file that is there already and is right is left as it is.

    Parameters
    ----------
    address
        Address that begins with ``https://``, ``http://`` or ``file://``.
    destination
        File to make; a missing folder is made.
    checksum
        Published checksum: ``ALGORITHM:DIGITS`` with md5, sha1, sha256 or sha512, or the digits of a sha256 alone.
    size
        Published size in bytes.
    progress
        What is told how many bytes have come.
    overwrite
        Whether a file of that name that is not the right one may be replaced.
    tries
        How often in turn a connection may break without a byte more having come.

    Raises
    ------
    OptionError
        If the address or the checksum is not one.
    FileError
        If the file cannot be had, is not what was published, or does not fit on the disk.
    """
    checksum = None if checksum is None else checked_checksum(checksum)
    scheme = require_address(address)
    with locked(destination), explained(destination):
        if os.path.lexists(destination):
            found = _present(destination, checksum, size, overwrite)
            if found is not None:
                return found
        part = Part.of(destination)
        for last in (False, True):
            resumed = part.size() > 0
            if scheme == "file":
                _copy(address, part, size, progress or Silent())
            else:
                receive(address, part, size, checksum is not None, progress or Silent(), tries)
            wrong = _wrong(part.file, checksum, size)
            if wrong is None:
                break
            part.clear()
            # Two versions of a file may have been put together where a server says nothing of versions.
            if last or not resumed:
                raise FileError(
                    f"{shown(address)}: {wrong}; it was removed; the file there may have been changed or damaged on "
                    f"the way: fetch it again, or download it elsewhere and put it at {destination}"
                )
        found = _described(part.file, checksum, True)
        move_into_place(part.file, destination, overwrite)
        part.clear()
        return replace(found, path=destination)


def checked_checksum(text: str) -> str:
    """Return a checksum as ``ALGORITHM:DIGITS`` in small letters; digits alone are those of a sha256.

    Raises
    ------
    OptionError
        If it is none of the known kinds.
    """
    algorithm, _, digits = text.lower().rpartition(":")
    algorithm = algorithm or "sha256"
    if not re.fullmatch(r"[0-9a-f]+", digits) or _DIGITS.get(algorithm) != len(digits):
        raise OptionError(
            f"checksum {text!r}: expected md5, sha1, sha256 or sha512, a colon, and its hexadecimal digits"
        )
    return f"{algorithm}:{digits}"


def require_address(address: str) -> str:
    """Return the scheme of an address.

    Raises
    ------
    OptionError
        If it has none that files are fetched by, or names no machine or file.
    """
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise OptionError(f"{address}: not an address ({error})") from error
    if parts.scheme not in SCHEMES or not (parts.path if parts.scheme == "file" else parts.hostname):
        expected = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise OptionError(f"{shown(address)}: not an address that files are fetched from; expected {expected}")
    return parts.scheme


def checksum_of(file: Path, algorithm: str) -> str:
    """Return the checksum of a file as ``ALGORITHM:DIGITS``."""
    import pooch

    return f"{algorithm}:{pooch.file_hash(str(file), alg=algorithm)}"


def sha256_of(file: Path) -> str:
    """Return the checksum of a file as ``sha256:DIGITS``."""
    return checksum_of(file, "sha256")


def mismatch(file: Path, checksum: str | None, size: int | None) -> str | None:
    """Return in words what of a file is not as published; None where nothing is."""
    return _wrong(file, None if checksum is None else checked_checksum(checksum), size)


def _wrong(file: Path, checksum: str | None, size: int | None) -> str | None:
    found = file.stat().st_size
    if size is not None and found != size:
        return f"has {found} bytes, expected {size}"
    if checksum is None:
        return None
    digits = checksum_of(file, checksum.partition(":")[0])
    return None if digits == checksum else f"has the checksum {digits}, expected {checksum}"


def _described(file: Path, checksum: str | None, new: bool) -> Fetched:
    """Describe a file that has the checksum, if there is one; it is not read once more for what is known."""
    known = checksum is not None and checksum.startswith("sha256:")
    return Fetched(file, checksum if known and checksum else sha256_of(file), file.stat().st_size, new)


def _present(destination: Path, checksum: str | None, size: int | None, overwrite: bool) -> Fetched | None:
    """Return what is at `destination` already where it is right; None where it is to be replaced."""
    if not (overwrite and destination.is_dir()):
        require_plain_file(destination)
    wrong = "is a folder" if destination.is_dir() else _wrong(destination, checksum, size)
    if wrong is None:
        return _described(destination, checksum, False)
    if not overwrite:
        raise FileError(f"{destination}: exists already and {wrong}; move it away, or give `overwrite`")
    return None


def _copy(address: str, part: Part, size: int | None, progress: Progress) -> None:
    """Copy a file of this machine, from its beginning."""
    source = Path(url2pathname(urlsplit(address).path))
    require_plain_file(source)
    if not source.exists():
        raise FileError(f"{source}: no such file")
    require_apart([source], [part.destination])
    total = source.stat().st_size
    if size is not None and total != size:
        raise FileError(f"{source}: has {total} bytes, expected {size}; it is another version, or not whole")
    part.clear()
    part.require_space(total)
    progress.start(part.destination.name, total)
    try:
        with source.open("rb") as read, part.file.open("wb") as written:
            while block := read.read(_BLOCK):
                written.write(block)
                progress.update(written.tell())
            written.flush()
            os.fsync(written.fileno())
    finally:
        progress.close()
