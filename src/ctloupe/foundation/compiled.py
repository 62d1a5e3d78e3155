"""Libraries compiled from C when the package is installed, where this installation has them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


def library(name: str, folder: Path, functions: Sequence[str]) -> ctypes.CDLL | None:
    """Open a library that was compiled into a folder of the package.

    They are built when the package is installed with a C compiler at hand, and are in its wheels.

    Parameters
    ----------
    name
        What setuptools call it, without the suffix.
    folder
        Where it lies.
    functions
        Its functions that are called with the address of a piece of work, and return nothing.

    Returns
    -------
    CDLL or None
        None where it was not compiled, is for another kind of machine, or is older than one of the functions.
    """
    paths = (folder / f"{name}{suffix}" for suffix in EXTENSION_SUFFIXES)
    path = next((one for one in paths if one.is_file()), None)
    try:
        return None if path is None else opened(path, functions)
    except (OSError, AttributeError):
        return None


def opened(path: Path, functions: Sequence[str]) -> ctypes.CDLL:
    """Open a library, and tell the types of its functions; see `library`.

    Raises
    ------
    OSError, AttributeError
        If it cannot be opened, or has no such function.
    """
    found = ctypes.CDLL(str(path))
    for name in functions:
        function = getattr(found, name)
        function.argtypes, function.restype = [ctypes.c_void_p], None
    return found
