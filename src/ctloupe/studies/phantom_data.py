"""Scans and patch banks of a study made of phantoms: the default, so that every table can be filled anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from ctloupe.foundation.lock import locked
from ctloupe.phantom.anatomies.registry import get
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.phantom.together import Wanted, in_words, make_together, write_wanted
from ctloupe.prepare.banks import prepare_banks
from ctloupe.studies.data import DataRecord, HeldOutScan, StudyData, keep, made_before
from ctloupe.studies.definition import Budget
from ctloupe.studies.recipe import Recipe
from ctloupe.studies.reduced import reduced_copy
from ctloupe.volume.formats import write

HELD_OUT_SEED: Final = 9001
MICRO_SEED: Final = 100
"""µCT anatomies have seeds above this one, clinical ones below."""
CT_SCALE: Final = 2
"""Fine voxels of a phantom in a voxel of the CTs that are both domains of a study."""

Say = Callable[[str], None]


def phantom_data(
    folder: Path, budget: Budget, recipe: Recipe, enlargement: int, patch_size: int, say: Say
) -> StudyData:
    """Make phantoms and banks in `folder`, unless they are there already.

    Training anatomies have the seeds 1, 2, … (clinical) and 101, 102, … (µCT); held-out ones have 9001, 9002, …

    Parameters
    ----------
    folder
        Folder to make.
    budget, recipe
        How many of what size, and how they are prepared.
    enlargement
        In-plane enlargement of the study.
    patch_size
        Side of a clinical patch.
    say
        Told what is being made.

    Raises
    ------
    FileError
        If the folder holds data made otherwise, or another process is making them.
    """
    wanted: dict[str, Any] = {
        "size": list(budget.size),
        "cases": budget.cases,
        "micro_cases": budget.micros,
        "test_cases": budget.test_cases,
        "per_case": budget.per_case,
        "enlargement": enlargement,
        "held_out_seed": HELD_OUT_SEED,
        "recipe": recipe.model_dump(mode="json", exclude={"enhance"}),
    }
    found = made_before(folder, wanted, patch_size)
    if found is not None:
        return found
    with locked(folder):
        count = budget.cases + budget.test_cases + (0 if recipe.reduced is not None else budget.micros)
        told = in_words([math.prod(budget.size)] * count)
        say(f"phantoms first: {count} of {'×'.join(map(str, budget.size))} voxels, {told}")
        make = _reduced_scans if recipe.reduced is not None else _scans
        clinical, micro, scans = make(folder, budget, recipe, enlargement, say)
        request = recipe.bank_request(clinical, micro, enlargement, patch_size, budget.per_case)
        prepare_banks(request, folder / "bank", overwrite=True)
        record = DataRecord(
            made_with=wanted,
            patch_size=patch_size,
            kind="phantoms",
            scans=tuple(scans),
            micros=tuple(_micro_of(one, recipe) for one in scans),
            micro_window=recipe.micro_window,
            micro_mask=recipe.micro_mask,
        )
        return keep(folder, record)


def _micro_of(test: HeldOutScan, recipe: Recipe) -> Path:
    if recipe.reduced is not None and test.truth is not None:
        return test.truth
    return test.scan.parent / "micro.nii.gz"


def _scans(
    folder: Path, budget: Budget, recipe: Recipe, enlargement: int, say: Say
) -> tuple[list[Path], list[Path], list[HeldOutScan]]:
    """Make clinical scans and µCT of different anatomies, and held-out ones with all that is known of them."""
    config = _config(recipe, enlargement)
    clinical = [folder / "clinical" / f"case-{number}.nii.gz" for number in range(1, budget.cases + 1)]
    micro = [folder / "micro" / f"specimen-{number}.nii.gz" for number in range(1, budget.micros + 1)]
    homes = [Path("held-out" if number == 0 else f"held-out-{number + 1}") for number in range(budget.test_cases)]

    wanted: list[tuple[str, Wanted]] = []

    def want(kind: str, first_seed: int, outs: list[Path], volume: str | None) -> None:
        for index, out in enumerate(outs):
            one = Wanted(recipe.anatomy, budget.size, first_seed + index, config, out, volume)
            wanted.append((f"{kind} phantom {index + 1} of {len(outs)}", one))

    want("clinical", 1, clinical, "clinical")
    want("µCT", MICRO_SEED + 1, micro, "micro")
    want("held-out", HELD_OUT_SEED, [folder / home for home in homes], None)
    write_wanted(wanted, say)
    # Slices are cropped before anything is done with them where patches are; lungs are a part of a slice.
    mask = recipe.clinical_mask if recipe.clinical_mask == "box" else "none"
    files = [{kind: home / f"{kind}.nii.gz" for kind in ("truth", "labels")} for home in homes]
    tests = [
        HeldOutScan(scan=home / "clinical.nii.gz", mask=mask, **of_it) for home, of_it in zip(homes, files, strict=True)
    ]
    return clinical, micro, tests


def _reduced_scans(
    folder: Path, budget: Budget, recipe: Recipe, enlargement: int, say: Say
) -> tuple[list[Path], list[Path], list[HeldOutScan]]:
    """Make CTs and reduced copies of them: one set is both domains."""
    config = _config(recipe, CT_SCALE)
    seeds = [*range(1, budget.cases + 1), *range(HELD_OUT_SEED, HELD_OUT_SEED + budget.test_cases)]
    fine = [Path("ct") / f"case-{number}.nii.gz" for number in range(1, len(seeds) + 1)]
    coarse = [Path("reduced") / one.name for one in fine]
    items = [
        (
            f"CT of a phantom, {number} of {len(seeds)}",
            _Reduced(recipe, budget.size, seed, config, enlargement, folder / whole, folder / copy),
        )
        for number, (seed, whole, copy) in enumerate(zip(seeds, fine, coarse, strict=True), start=1)
    ]
    make_together(_make_reduced, items, [math.prod(budget.size)] * len(items), say)
    tests = [
        HeldOutScan(scan=scan, truth=truth)
        for scan, truth in zip(coarse[budget.cases :], fine[budget.cases :], strict=True)
    ]
    trained = slice(budget.cases)
    return [folder / one for one in coarse[trained]], [folder / one for one in fine[trained]], tests


class _Reduced(NamedTuple):
    """A CT of a phantom, and its reduced copy."""

    recipe: Recipe
    size: tuple[int, int, int]
    seed: int
    config: PhantomConfig
    enlargement: int
    whole: Path
    copy: Path


def _make_reduced(one: _Reduced) -> None:
    ct = make_phantom(one.recipe.anatomy, one.size, one.seed, one.config).clinical
    copy, whole = reduced_copy(ct, one.enlargement, one.recipe, one.seed)
    write(whole, one.whole, overwrite=True)
    write(copy, one.copy, overwrite=True)


def _config(recipe: Recipe, scale: int) -> PhantomConfig:
    return replace(get(recipe.anatomy).usual, scale=scale, slices=scale)
