"""Everything that a view is asked for, from files to a scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctloupe.display.scene import Layer, Role, Scene, with_agreement
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.progress import Progress, Silent
from ctloupe.viewer.growing import open_growing, unfinished_store
from ctloupe.viewer.inflated import inflated
from ctloupe.volume.formats import coarser, read
from ctloupe.volume.geometry import Triple


@dataclass(frozen=True)
class ViewRequest:
    """What is looked at.

    Attributes
    ----------
    volumes
        Names and paths, the scan first, in whose axes all are looked at; or the folder of a study or suite, whose rows
        are shown. A volume that `ctloupe.enhance_files` is writing is shown as it grows.
    uncertainty
        Map of standard deviations, to lay over the images.
    mask, labels
        Volumes of what is inside, and of numbers of structures.
    series, voxel_size
        See `ctloupe.read`; for the first volume.
    case
        Case of the suite, where the first path is the folder of one; None: its first.
    export, shot
        Page and picture to write instead of being looked at.
    roi
        Region ``z0:z1,y0:y1,x0:x1`` in voxels of the first volume, for these; None: a place with much to see.
    window
        Values that are black and white at first; None: lung, or the volume's range where it is not in HU.
    port, browser, hosts
        Port of the server (0: any), whether to open a browser, and further host names under which it may be asked.
    overwrite
        Whether files are replaced.
    """

    volumes: tuple[tuple[str, Location], ...]
    uncertainty: Location | None = None
    mask: Location | None = None
    labels: Location | None = None
    series: str | None = None
    voxel_size: Triple | None = None
    case: str | None = None
    export: Path | None = None
    shot: Path | None = None
    roi: str | None = None
    window: tuple[float, float] | None = None
    port: int = 0
    browser: bool = True
    hosts: tuple[str, ...] = ()
    overwrite: bool = False


def told_of(request: ViewRequest) -> dict[str, Any]:
    """Return what a page is told of a request besides the scene: how the view begins."""
    return {} if request.window is None else {"view": {"window": list(request.window)}}


def open_scene(
    request: ViewRequest, say: Callable[[str], None] = lambda line: None, progress: Progress | None = None
) -> Scene:
    """Open all volumes of a request, lazily where their formats allow it.

    Raises
    ------
    CtLoupeError
        If one cannot be read, or there is none.
    """
    if not request.volumes:
        raise OptionError("`volumes`: expected at least one volume to look at")
    progress = progress or Silent()
    first, *others = request.volumes
    if not others and not isinstance(first[1], Remote) and holds_rows(first[1]):
        return _scene_of_rows(request, first[1])
    if request.case is not None:
        raise OptionError("`case` is for the folder of a suite")
    layers = [layer_of(*first, "image", say, progress, request.series, request.voxel_size)]
    layers += [layer_of(name, path, "image", say, progress) for name, path in others]
    maps: Sequence[tuple[Role, Location | None]] = (
        ("uncertainty", request.uncertainty),
        ("mask", request.mask),
        ("labels", request.labels),
    )
    layers += [layer_of(role, path, role, say, progress) for role, path in maps if path is not None]
    return Scene(with_agreement(layers))


def holds_rows(folder: Path) -> bool:
    """Whether a folder is one of a study or a suite."""
    return folder.is_dir() and ((folder / "study.json").is_file() or (folder / "leaderboard.md").is_file())


def _scene_of_rows(request: ViewRequest, folder: Path) -> Scene:
    """The rows of a study or a suite, each with its numbers."""
    for name in ("uncertainty", "mask", "labels", "series", "voxel_size"):
        if getattr(request, name) is not None:
            raise OptionError(f"`{name}` is for volumes; {folder} is the folder of a study or a suite")
    # Studies and suites know torch, which takes seconds to import.
    from ctloupe.viewer.kept_crops import rows_of

    layers, numbers = rows_of(folder, request.case)
    return Scene(tuple(replace(layer, numbers=numbers.get(layer.name, {})) for layer in layers))


def layer_of(
    name: str,
    path: Location,
    role: Role,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
    series: str | None = None,
    voxel_size: Triple | None = None,
) -> Layer:
    """Open one volume; see `open_scene`.

    Raises
    ------
    CtLoupeError
        If it cannot be read, or is not there and not being written.
    """
    if isinstance(path, Remote):
        return _opened(name, path, path.name, role, say, series, voxel_size)
    if not path.exists():
        if unfinished_store(path) is None:
            raise FileError(f"{path}: no such file or folder, and nothing is being written there")
        volume, growth = open_growing(path)
        say(f"{name}: {len(growth.finished())} of {volume.shape[0]} slices are finished; more are shown as they come")
        return Layer(name, role, volume, growth=growth)
    folder = inflated(path, progress or Silent())
    source = path if folder is None else next(Path(folder.name).iterdir())
    return replace(_opened(name, source, path.name, role, say, series, voxel_size), kept=folder)


def _opened(
    name: str,
    path: Location,
    called: str,
    role: Role,
    say: Callable[[str], None],
    series: str | None,
    voxel_size: Triple | None,
) -> Layer:
    volume = read(path, series=series, voxel_size=voxel_size)
    for note in volume.notes:
        say(f"warning: {called}: {note}")
    return Layer(name, role, volume, coarser(path, volume))
