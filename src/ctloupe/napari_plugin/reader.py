"""Volumes as layers: what napari calls when a file or folder is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from ctloupe.display.scene import PRESETS
from ctloupe.foundation.errors import CtLoupeError, FileError
from ctloupe.foundation.foreign_text import printable
from ctloupe.foundation.leftovers import full_suffix
from ctloupe.napari_plugin.place import placed
from ctloupe.volume.collection import name_of
from ctloupe.volume.formats import format_of, read
from ctloupe.volume.formats.registry import readable_suffixes
from ctloupe.volume.volume import Volume

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keywords and kind of a layer, as napari takes them."""

METADATA: Final = "ctloupe"
"""Key of the metadata that tell a layer of this reader from others."""

WINDOW: Final = PRESETS["lung"]
"""Grey values in HU that a layer is shown with at first."""


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Return what reads `path`, or None where it is not a volume.

    A file that has the name of a volume and is damaged is taken all the same, so that the error says what is wrong
    with it.

    Parameters
    ----------
    path
        A file or folder. Several paths, which napari would stack, are not taken: a volume is one of them.
    """
    one = _single(path)
    return read_layers if one is not None and _is_volume(one) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Return the volume at `path` as a layer at its place in space, with the levels that its file holds.

    Raises
    ------
    CtLoupeError
        If it cannot be read; see `ctloupe.read`.
    """
    one = _single(path)
    if one is None:
        raise FileError("several paths were given to be stacked; open each volume alone")
    return [layer_of(read(one), one)]


def layer_of(volume: Volume, path: Path, name: str | None = None) -> LayerData:
    """Return an image layer of `volume`, which was read from `path`; voxels are read when they are shown.

    The layer is named after the file. No field of its header is in its name or metadata but those of its geometry.
    """
    levels = [volume.data, *(one.data for one in format_of(path).coarser(path, volume))]
    keywords: dict[str, Any] = {
        "name": name or printable(name_of(path)),
        "metadata": {
            METADATA: {
                "path": str(path),
                "modality": volume.modality,
                "units": volume.units,
                "history": list(volume.history),
                "notes": list(volume.notes),
            }
        },
        **placed(volume),
    }
    if volume.units == "HU":
        keywords["contrast_limits"] = WINDOW
    if len(levels) == 1:
        return volume.data, keywords, "image"
    return levels, keywords | {"multiscale": True}, "image"


def _single(path: str | Sequence[str]) -> Path | None:
    if isinstance(path, str | Path):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None


def _is_volume(path: Path) -> bool:
    if path.is_file() and full_suffix(path).lower() in readable_suffixes():
        return True
    try:
        format_of(path)
    except CtLoupeError:
        return False
    return True
