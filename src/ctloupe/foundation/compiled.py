"""Libraries compiled from C when the package is installed, where this installation has them."""

from __future__ import annotations

import ctypes
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


def library(name: str, folder: Path) -> ctypes.CDLL | None:
    """Open a library that was compiled into a folder of the package.

    They are built when the package is installed with a C compiler at hand, and are in its wheels.

    Parameters
    ----------
    name
        What setuptools call it, without the suffix.
    folder
        Where it lies.

    Returns
    -------
    CDLL or None
        None where it was not compiled, or is for another kind of machine.
    """
    paths = (folder / f"{name}{suffix}" for suffix in EXTENSION_SUFFIXES)
    path = next((one for one in paths if one.is_file()), None)
    try:
        return None if path is None else ctypes.CDLL(str(path))
    except OSError:
        return None
