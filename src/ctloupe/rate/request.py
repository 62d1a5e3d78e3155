"""The front door of planning a rating study: a design or a paper's experiment, and the volumes to cut pictures from."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ctloupe.foundation.atomic import require_new
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.location import Location
from ctloupe.foundation.records import validated
from ctloupe.prepare.masks import mask_file, mask_of
from ctloupe.rate.design import DESIGN, KEY, SIDES, Design, Pictures, read_design, write_study
from ctloupe.rate.experiment import Experiment, load_experiment
from ctloupe.rate.places import drawn_places, require_inside
from ctloupe.volume.formats import parts_read, read

if TYPE_CHECKING:
    from ctloupe.rate.pictures import Subjects


CHOOSING: Final = (
    "First: the original clinical CT. Beside it two pictures of the same place, at the same size and in the same "
    "window. Say for each question which of the two is better, the left or the right one; where you see no difference, "
    "say what you would say if you had to. Do not judge the original."
)
"""What raters read who choose one of two."""


@dataclass(frozen=True)
class DesignRequest:
    """What `design_study` is asked for; the names are those of the command line's options.

    Attributes
    ----------
    out
        Folder to make.
    design
        Design in YAML.
    experiment
        Name of a paper's experiment, or a YAML file of one's own, in place of a design: the methods are those of
        `output`, and the rest is the experiment's where no option says otherwise.
    input
        The scan; with `output`, blinded pictures are cut out. None: there are sheets only.
    output
        Name of each method, and the file of the volume that it made of the scan.
    mask
        Where patches are drawn: a kind of mask as `mask_of` takes it, or a mask file on the grid of the scan; None for
        the experiment's, and for everywhere with a design.
    at
        Slice, row and column of the scan's voxel in the middle of each patch; empty: they are drawn with the seed.
    side
        Side of a patch in voxels of the scan.
    window
        Values that are black and white; None for that of the anatomy that the patches look like.
    choice
        Whether the better one of two methods is chosen, for an experiment, instead of one being marked.
    patches, raters, repeats, seed
        Parts of a design, for an experiment: number of patches, codes of raters, items that come twice, and seed; None:
        one that is drawn, and kept in the design.
    series
        Number or UID of the DICOM series, where the scan's folder holds several.
    overwrite
        Whether an earlier study is replaced.
    """

    out: Path
    design: Path | None = None
    experiment: str | None = None
    input: Path | None = None
    output: tuple[tuple[str, Path], ...] = ()
    mask: str | Path | None = None
    at: tuple[tuple[float, float, float], ...] = ()
    side: int | None = None
    window: tuple[float, float] | None = None
    choice: bool = False
    patches: int | None = None
    raters: tuple[str, ...] = ()
    repeats: int | None = None
    seed: int | None = None
    series: str | None = None
    overwrite: bool = False


def design_study(request: DesignRequest) -> tuple[Design, list[Path]]:
    """Complete a design, and write the study with its pictures.

    Returns
    -------
    Design
        Design as it was written, with the places and the window of its pictures.
    list of Path
        What was written; see `write_study`.

    Raises
    ------
    OptionError
        If options are missing, exclude each other or make no sense.
    FileError, GeometryError
        If a file cannot be read, a volume does not belong to the scan, or `out` exists or touches an input.
    """
    _require_sense(request)
    experiment = None if request.experiment is None else load_experiment(request.experiment)
    design = read_design(request.design) if request.design is not None else _of_experiment(request, experiment)
    begun = sorted(request.out.glob("answers-*.jsonl")) if request.out.is_dir() else []
    if begun:
        raise FileError(f"{begun[0]}: raters have begun with this study, and it is not replaced; give another `out`")
    inputs = parts_read(_inputs(request))
    if request.input is None:
        if design.pictures is not None:
            raise OptionError(f"{request.design}: the design has pictures; give `input` and `output` to cut them from")
        return design, write_study(design, request.out, request.overwrite, inputs)
    _require_methods(design, request)
    require_apart(inputs, [request.out])
    require_new(request.out, request.overwrite, DESIGN, KEY)
    # Sheets alone need no torch, which interpolates the scan.
    from ctloupe.rate.pictures import Subjects, write_pictures

    subjects = Subjects(read(request.input, series=request.series), {name: read(path) for name, path in request.output})
    asked = request.mask if request.mask is not None or experiment is None else experiment.mask
    design = _complete(design, request, subjects, asked)
    draw = partial(write_pictures, design, subjects)
    return design, write_study(design, request.out, request.overwrite, inputs, draw)


def _require_sense(request: DesignRequest) -> None:
    if (request.design is None) == (request.experiment is None):
        raise OptionError("give either the file of a `design`, or an `experiment`")
    if (request.input is None) != (not request.output):
        raise OptionError("`input` and `output` belong together: pictures show the scan beside each method's volume")
    if request.experiment is not None and request.input is None:
        raise OptionError("`experiment` needs `input` and, for each method, an `output` NAME=volume")
    for name in ("mask", "at", "side", "window"):
        if request.input is None and getattr(request, name):
            raise OptionError(f"`{name}` is for pictures: give `input` and `output`, or leave it out")
    for name in ("choice", "patches", "raters", "repeats", "seed"):
        if request.design is not None and getattr(request, name) not in (None, (), False):
            raise OptionError(f"`{name}` is for `experiment`; the file of a `design` says it itself")
    if request.at and request.mask is not None:
        raise OptionError("`at` and `mask` exclude each other: a place that is given is not drawn")
    methods = [name for name, _ in request.output]
    if len(set(methods)) < len(methods):
        raise OptionError("`output`: two volumes have one name; give them as NAME=volume")
    if len(methods) == 1:
        raise OptionError("`output`: give the volumes of at least two methods, each as NAME=volume")


def _inputs(request: DesignRequest) -> list[Location | None]:
    """Everything that the request reads."""
    mask = None if request.mask is None else mask_file(str(request.mask))
    # An experiment of one's own is a file; the name of another leads nowhere, whatever is called like it.
    named = Path(request.experiment or "")
    own = named if named.suffix in (".yaml", ".yml") else None
    return [request.design, own, request.input, *(path for _, path in request.output), mask]


def _of_experiment(request: DesignRequest, experiment: Experiment | None) -> Design:
    if experiment is None:
        raise OptionError("`experiment` is needed")
    # Places that are given say how many patches there are.
    patches = request.patches if request.patches is not None else len(request.at) or experiment.patches
    content = {
        "name": experiment.title,
        "methods": [name for name, _ in request.output],
        "patches": patches,
        "criteria": dict.fromkeys(experiment.criteria, SIDES) if request.choice else experiment.criteria,
        "choice": request.choice,
        "raters": request.raters or experiment.raters,
        "repeats": request.repeats or 0,
        # A seed that everybody knows would make the key again.
        "seed": secrets.randbelow(1 << 31) if request.seed is None else request.seed,
        "reference": experiment.reference,
        "instructions": CHOOSING if request.choice else experiment.instructions,
        "pictures": {"side": experiment.side, "enlargement": experiment.enlargement, "places": request.at or None},
    }
    return validated(Design, content, f"`experiment` {experiment.name}")


def _require_methods(design: Design, request: DesignRequest) -> None:
    given = [name for name, _ in request.output]
    missing = [name for name in design.methods if name not in given]
    unknown = [name for name in given if name not in design.methods]
    if missing or unknown:
        faults = [f"no {', '.join(missing)}"] * bool(missing) + [f"{', '.join(unknown)} is not in it"] * bool(unknown)
        raise OptionError(
            f"`output`: the design compares {', '.join(design.methods)}: {'; '.join(faults)}; give each as NAME=volume"
        )


def _complete(design: Design, request: DesignRequest, subjects: Subjects, asked: str | Path | None) -> Design:
    """Put into the design what options say of its pictures, and what they leave open: the places and the window."""
    from ctloupe.rate.pictures import window_for

    said = (design.pictures or Pictures()).model_dump()
    options = {"side": request.side, "window": request.window, "places": request.at or None}
    said |= {name: value for name, value in options.items() if value is not None}
    pictures = _with(design, said).pictures or Pictures()
    places, scan = pictures.places, subjects.scan
    if places is None:
        mask = None if asked is None else mask_of(str(asked), scan)
        places = drawn_places(scan, pictures.side, len(design.patch_names), design.seed, mask)
    elif request.mask is not None:
        raise OptionError("`mask` is for places that are drawn, and the design has its own; leave it out")
    require_inside(places, scan, pictures.side)
    window = pictures.window or window_for(scan, places, pictures.side)
    return _with(design, {**said, "places": places, "window": window})


def _with(design: Design, pictures: dict[str, Any]) -> Design:
    return validated(Design, design.model_dump() | {"pictures": pictures}, "pictures of the study")
