"""Scans and patch banks of a study made of volumes of the user's own, named in a YAML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, model_validator

from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.lock import locked
from ctloupe.foundation.records import load_record
from ctloupe.prepare.banks import prepare_banks
from ctloupe.studies.data import DataRecord, HeldOutScan, StudyData, keep, made_before, read_micro
from ctloupe.studies.definition import Budget
from ctloupe.studies.recipe import Recipe, WindowText, as_request
from ctloupe.studies.reduced import reduced_copy
from ctloupe.volume.collection import volume_paths
from ctloupe.volume.formats import parts_read, read, write
from ctloupe.volume.geometry import Triple

_WHAT: Final = "list of volumes"

Say = Callable[[str], None]


class Modality(BaseModel):
    """Volumes of one modality, and how they become patches; what is left out is the study's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    training: tuple[Path, ...] = ()
    """Files, or folders of them."""
    mask: str | None = None
    """Kind of mask that patches lie in."""
    window: WindowText | None = None
    """Values that become −1 and 1."""
    resample: tuple[float, float] | None = None
    """In-plane spacing (y, x) in mm that all its volumes are brought to."""

    @model_validator(mode="after")
    def _possible(self) -> Modality:
        if self.window is not None:
            as_request(self.window)
        return self


class ClinicalVolumes(Modality):
    """Clinical CTs."""

    test: tuple[Path | HeldOutScan, ...] = ()
    """Scans that no training sees: files, or files with their truth, labels and mask."""


class MicroVolumes(Modality):
    """µCT volumes."""

    test: tuple[Path, ...] = ()
    """Volumes that no training sees."""
    voxel_size: Triple | None = None
    """Voxel size (z, y, x) in mm of TIFF files that do not state it."""


class OwnVolumes(BaseModel):
    """The volumes of a study, instead of phantoms. Paths are relative to the file that names them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clinical: ClinicalVolumes = ClinicalVolumes()
    micro: MicroVolumes


def load_own_volumes(path: Path) -> OwnVolumes:
    """Read a YAML file that lists volumes, with all paths made absolute.

    Raises
    ------
    FileError
        If it cannot be read or is no such list, or a volume does not exist.
    """
    found = load_record(path, OwnVolumes, _WHAT, "list volumes under clinical and micro, as in docs/studies.md")
    home = path.resolve().parent
    clinical = found.clinical.model_copy(
        update={
            "training": _absolute(found.clinical.training, home),
            "test": tuple(_absolute_scan(one, home) for one in found.clinical.test),
        }
    )
    micro = found.micro.model_copy(
        update={"training": _absolute(found.micro.training, home), "test": _absolute(found.micro.test, home)}
    )
    return found.model_copy(update={"clinical": clinical, "micro": micro})


def own_data(
    volumes: OwnVolumes, folder: Path, budget: Budget, recipe: Recipe, enlargement: int, patch_size: int, say: Say
) -> StudyData:
    """Cut patches of the user's volumes into banks in `folder`, unless they are there already.

    Parameters
    ----------
    volumes
        What is trained on and tested with.
    folder
        Folder to make.
    budget, recipe
        How many patches, and how they are prepared where `volumes` do not say it.
    enlargement
        In-plane enlargement of the study.
    patch_size
        Side of a clinical patch.
    say
        Told of every volume.

    Raises
    ------
    FileError
        If the folder holds data made otherwise, or a volume cannot be read.
    OptionError
        If volumes that the study needs are not given.
    """
    own = _own_recipe(volumes, recipe)
    _require_volumes(volumes, recipe)
    wanted: dict[str, Any] = {
        "volumes": volumes.model_dump(mode="json"),
        "per_case": budget.per_case,
        "enlargement": enlargement,
        "recipe": own.model_dump(mode="json", exclude={"enhance"}),
    }
    found = made_before(folder, wanted, patch_size)
    if found is not None:
        return found
    _require_unseen(volumes)
    _require_truths(volumes, enlargement)
    training = [*volumes.clinical.training, *volumes.micro.training, *volumes.micro.test]
    scans = [path for one in _held_out(volumes) for path in (one.scan, one.truth, one.labels) if path is not None]
    require_apart(parts_read([*training, *scans]), [folder])
    with locked(folder):
        if recipe.reduced is not None:
            volumes = _with_reduced(volumes, folder, own, enlargement, say)
        request = replace(
            own.bank_request(
                volumes.clinical.training, volumes.micro.training, enlargement, patch_size, budget.per_case
            ),
            clinical_spacing=volumes.clinical.resample,
            micro_spacing=volumes.micro.resample,
            voxel_size=volumes.micro.voxel_size,
        )
        prepare_banks(request, folder / "bank", say, overwrite=True)
        record = DataRecord(
            made_with=wanted,
            patch_size=patch_size,
            kind="own",
            scans=_held_out(volumes, own.clinical_mask),
            micros=tuple(volume_paths(list(volumes.micro.test))) if volumes.micro.test else (),
            micro_window=own.micro_window,
            micro_mask=own.micro_mask,
            clinical_spacing=volumes.clinical.resample,
            micro_spacing=volumes.micro.resample,
            voxel_size=volumes.micro.voxel_size,
        )
        return keep(folder, record)


def _own_recipe(volumes: OwnVolumes, recipe: Recipe) -> Recipe:
    """Put the windows and masks of the user's list in the place of the study's."""
    said = {
        "clinical_window": volumes.clinical.window,
        "clinical_mask": volumes.clinical.mask,
        "micro_window": volumes.micro.window,
        "micro_mask": volumes.micro.mask,
    }
    return recipe.model_copy(update={key: value for key, value in said.items() if value is not None})


def _require_volumes(volumes: OwnVolumes, recipe: Recipe) -> None:
    if not volumes.micro.training:
        raise OptionError("`data`: no volumes under micro: training; list at least one")
    if recipe.reduced is not None:
        if volumes.clinical.training or volumes.clinical.test:
            raise OptionError(
                "`data`: this study makes its clinical images of the volumes under micro; leave clinical out"
            )
        return
    if not volumes.clinical.training:
        raise OptionError("`data`: no volumes under clinical: training; list at least one")
    if not volumes.clinical.test and not volumes.micro.test:
        raise OptionError("`data`: nothing to test with; list volumes under clinical: test or micro: test")


def _require_unseen(volumes: OwnVolumes) -> None:
    """Refuse a test volume that is trained on as well."""
    for name, training, test in (
        ("clinical", volumes.clinical.training, [one.scan for one in _held_out(volumes)]),
        ("micro", volumes.micro.training, volumes.micro.test),
    ):
        seen = {path.resolve() for path in volume_paths(list(training))} if training else set()
        for path in volume_paths(list(test)) if test else []:
            if path.resolve() in seen:
                where = f"under {name}: training and {name}: test"
                raise OptionError(f"`data`: {path} is {where}; test with a volume that no training sees")


def _require_truths(volumes: OwnVolumes, enlargement: int) -> None:
    """Refuse a truth or labels on another grid now, and not when the first row is trained."""
    for one in _held_out(volumes):
        fine = [path for path in (one.truth, one.labels) if path is not None]
        if not fine:
            continue
        _, y, x = read(one.scan).shape
        for path in fine:
            found, expected = read(path).shape[1:], (y * enlargement, x * enlargement)
            if found != expected:
                raise GeometryError(f"{path}: slices of {found}, expected {expected} for {one.scan} at ×{enlargement}")


def _held_out(volumes: OwnVolumes, mask: str | None = None) -> tuple[HeldOutScan, ...]:
    """Return the test scans as records, which are enhanced where patches were drawn unless they say otherwise."""
    found = []
    for one in volumes.clinical.test:
        said = one if isinstance(one, HeldOutScan) else HeldOutScan(scan=one)
        if mask is not None and "mask" not in said.model_fields_set:
            said = said.model_copy(update={"mask": mask})
        found.append(said)
    return tuple(found)


def _with_reduced(volumes: OwnVolumes, folder: Path, recipe: Recipe, enlargement: int, say: Say) -> OwnVolumes:
    """Write reduced copies of the fine volumes, which become the clinical ones, and the fine ones cut to fit."""
    made: dict[bool, list[tuple[Path, Path]]] = {True: [], False: []}
    for trained, paths in ((True, volumes.micro.training), (False, volumes.micro.test)):
        for path in volume_paths(list(paths)) if paths else []:
            number = len(made[True]) + len(made[False]) + 1
            say(f"{path.name}: reduced by {enlargement}")
            fine = read_micro(path, volumes.micro.voxel_size)
            copy, whole = reduced_copy(fine, enlargement, recipe, number)
            names = folder / "reduced" / f"case-{number}.nii.gz", folder / "ct" / f"case-{number}.nii.gz"
            write(copy, names[0], overwrite=True)
            write(replace(whole, modality="micro"), names[1], overwrite=True)
            made[trained].append(names)
    clinical = volumes.clinical.model_copy(
        update={
            "training": tuple(coarse for coarse, _ in made[True]),
            "test": tuple(HeldOutScan(scan=coarse, truth=fine) for coarse, fine in made[False]),
        }
    )
    micro = volumes.micro.model_copy(
        update={
            "training": tuple(fine for _, fine in made[True]),
            "test": tuple(fine for _, fine in made[False]),
            "voxel_size": None,
        }
    )
    return volumes.model_copy(update={"clinical": clinical, "micro": micro})


def _absolute(paths: Sequence[Path], home: Path) -> tuple[Path, ...]:
    return tuple(_there(home / path) for path in paths)


def _absolute_scan(one: Path | HeldOutScan, home: Path) -> HeldOutScan:
    said = one if isinstance(one, HeldOutScan) else HeldOutScan(scan=one)
    changed: dict[str, Any] = {
        key: _there(home / path)
        for key, path in (("scan", said.scan), ("truth", said.truth), ("labels", said.labels))
        if path is not None
    }
    if (home / said.mask).is_file():
        changed["mask"] = str(home / said.mask)
    return said.model_copy(update=changed)


def _there(path: Path) -> Path:
    if not path.exists():
        raise FileError(f"{path}: no such file or folder, named in the {_WHAT}; write paths relative to that file")
    return path
