"""Outputs appear whole under their final name, or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from ctloupe.foundation.errors import CtLoupeError, FileError
from ctloupe.foundation.leftovers import hidden_name, remove, remove_leftovers
from ctloupe.foundation.location import refuse_mangled

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file system does not take a file of this size",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "its folder is a file",
    errno.EEXIST: "its folder is a file",
    errno.EISDIR: "it is a folder",
    errno.EIO: "the write failed",
}

_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""Refusals that are never the program's fault, wherever in a chain of errors they stand."""

# numpy, PyTorch, safetensors and zlib say in words only that a write came to nothing.
_FAILED_WRITE = re.compile(r"requested and \d+ written|failed writing file|file write failed|No space left|I/O error")


@contextmanager
def replacing(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a hidden sibling of `path` to write a file or folder to; it takes the final name on success.

    On success the content is flushed to disk and renamed in one step: a reader never meets half of it.
    On any exception, Ctrl-C included, the sibling is removed and what `path` held before is untouched.
    A missing parent folder is made. Where `path` is a symbolic link, its target is replaced.

    Parameters
    ----------
    path
        Final file or folder.
    overwrite
        Whether something of that name may be replaced.

    Raises
    ------
    FileError
        If `path` exists without `overwrite`, is a folder that must not go (home, working folder, mount
        point), or cannot be written; for a full disk the message says how much is free.
    """
    refuse_mangled(Path(path))
    path = _through_link(Path(path))
    with explained(path):
        _refuse(path, overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        require_place(path)
        remove_leftovers(path)
        temporary = hidden_name(path, "partial")
        remove(temporary)
        try:
            yield temporary
            _flush(temporary)
            move_into_place(temporary, path, overwrite)
        except CtLoupeError as error:
            # What is written inside the folder is known by its hidden name only.
            if str(temporary) in str(error):
                raise type(error)(str(error).replace(str(temporary), str(path))) from error
            raise
        finally:
            remove(temporary, still_written=True)


@contextmanager
def replacing_together(paths: Sequence[Path], overwrite: bool = False) -> Iterator[Path]:
    """Yield a hidden folder in which files named as `paths` are to be written; they are moved in that order.

    For formats of several files: give the header last, so that it never names data that is not there.

    Parameters
    ----------
    paths
        Final files, all in one folder.
    overwrite
        Whether files of those names may be replaced.

    Raises
    ------
    FileError
        If a file could not be replaced, as in `replacing`.
    """
    finals = [_through_link(Path(path)) for path in paths]
    last = finals[-1]
    with explained(last):
        for path in reversed(finals):
            _refuse(path, overwrite)
        last.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(last)
        folder = hidden_name(last, "partial")
        remove(folder)
        folder.mkdir()
        try:
            yield folder
            _flush(folder)
            for named, path in zip(paths, finals, strict=True):
                move_into_place(folder / Path(named).name, path, overwrite)
            remove(folder)
        finally:
            remove(folder, still_written=True)


def require_new(folder: Path, overwrite: bool, *names: str) -> None:
    """Refuse to replace results unasked, before anything is measured.

    Raises
    ------
    FileError
        If one of the files `names` is in `folder` already, without `overwrite`, or nothing can be written there.
    """
    require_place(folder / names[0])
    for name in names:
        if not overwrite and (folder / name).exists():
            raise FileError(f"{folder / name}: exists already; give `overwrite` or another `out`")


def require_place(path: Path) -> None:
    """Refuse a place that nothing can be written to, before anything is computed.

    Raises
    ------
    FileError
        If the name is too long, a part of its folder is a file, or the folder takes no new files.
    """
    refuse_mangled(path)
    with explained(path):
        with suppress(FileNotFoundError):
            path.lstat()
        folder = next(one for one in path.absolute().parents if one.exists())
        try:
            with TemporaryFile(dir=folder):
                pass
        except FileNotFoundError as error:
            raise FileError(f"{path}: cannot be written: its folder takes no files; choose another place") from error


def _through_link(path: Path) -> Path:
    return path.resolve() if path.is_symlink() else path


def _refuse(path: Path, overwrite: bool) -> None:
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise FileError(f"{path}: exists already; give `overwrite` to replace it, or another name")
    if path.is_dir():
        real = path.resolve()
        kept = (Path.cwd(), Path("~").expanduser())
        if real.is_mount() or any(one.resolve().is_relative_to(real) for one in kept):
            raise FileError(f"{path}: holds the home or working folder and is not replaced; give another name")


def move_into_place(temporary: Path, path: Path, overwrite: bool) -> None:
    """Give the finished file or folder `temporary`, on the same disk, its final name in one step.

    Raises
    ------
    FileError
        If something of that name exists without `overwrite`, or must not go.
    """
    _refuse(path, overwrite)
    if path.is_dir() and not temporary.is_dir():
        raise FileError(f"{path}: is a folder, and a file cannot take its place; give another name")
    if temporary.is_dir() and path.exists():
        aside = hidden_name(path, "replaced")
        remove(aside)
        try:
            path.replace(aside)
            temporary.replace(path)
        except BaseException:
            if aside.exists() and not path.exists():
                aside.replace(path)
            raise
        remove(aside)
    else:
        temporary.replace(path)
    _flush_entry(path.parent)


def _flush(path: Path) -> None:
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in names:
                _flush_entry(Path(folder, name))
            _flush_entry(Path(folder))
    else:
        _flush_entry(path)


def _flush_entry(path: Path) -> None:
    # Windows can neither open a folder nor flush what is open for reading only.
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one line; other errors of the writer pass unchanged."""
    try:
        yield
    except CtLoupeError:
        raise
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        raise FileError(_explanation(refusal, path)) from error


def _refusal(error: BaseException) -> OSError | None:
    """What the operating system refused, behind an error that a library may have made of it."""
    if isinstance(error, OSError) and error.errno in _REASONS:
        return error
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, OSError) and behind.errno in _OF_DISKS:
            return behind
        behind = behind.__cause__ or behind.__context__
    if _FAILED_WRITE.search(str(error)):
        return OSError(errno.EIO, str(error).splitlines()[0])
    return None


def refusal_in_words(error: OSError) -> str | None:
    """Return one line about what the operating system refused, where that is no fault of the program; else None."""
    if error.errno in _REASONS and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {_REASONS[error.errno]}"
    if error.errno in _OF_DISKS:
        return f"a file could not be written: {_REASONS[error.errno]}"
    return None


def _explanation(error: OSError, path: Path) -> str:
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path
    if not named.is_relative_to(path.parent):
        # What failed is not the output, for instance a source file read on the way.
        path = named
    told = f"{path}: cannot be written: {_REASONS[error.errno or errno.EIO]}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        folder = next(one for one in path.absolute().parents if one.is_dir())
        free = shutil.disk_usage(folder).free / 1e9
        return f"{told} ({free:.2f} GB free); free some space, or write to another disk"
    if error.errno == errno.EIO:
        return f"{told} ({error.strerror or error}); check the disk, or write to another one"
    return f"{told}; choose a place that you can write to"
