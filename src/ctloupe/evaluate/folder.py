"""Folders that results are written into."""

from __future__ import annotations

from pathlib import Path

from ctloupe.foundation.errors import OptionError


def require_new(folder: Path, overwrite: bool, *names: str) -> None:
    """Refuse to replace results unasked, before anything is measured.

    Raises
    ------
    OptionError
        If one of the files `names` is in `folder` already, without `overwrite`.
    """
    for name in names:
        if not overwrite and (folder / name).exists():
            raise OptionError(f"{folder / name}: exists already; give `overwrite` or another `out`")
