"""Scans and patch banks of a study made of phantoms: the default, so that every table can be filled anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ctloupe.evaluate.suite.expected import SECONDS_TO_MAKE
from ctloupe.foundation.amounts import duration_in_words
from ctloupe.foundation.lock import locked
from ctloupe.phantom.anatomies.registry import get
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
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
        seconds = count * SECONDS_TO_MAKE * math.prod(budget.size) / 1e6
        say(f"phantoms first: {count} of {'×'.join(map(str, budget.size))} voxels, about {duration_in_words(seconds)}")
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
    for number, path in enumerate(clinical, start=1):
        say(f"clinical phantom {number} of {len(clinical)}")
        write(make_phantom(recipe.anatomy, budget.size, number, config).clinical, path, overwrite=True)
    for number, path in enumerate(micro, start=1):
        say(f"µCT phantom {number} of {len(micro)}")
        write(make_phantom(recipe.anatomy, budget.size, MICRO_SEED + number, config).micro, path, overwrite=True)
    tests = []
    for number in range(budget.test_cases):
        say(f"held-out phantom {number + 1} of {budget.test_cases}")
        home = Path("held-out" if number == 0 else f"held-out-{number + 1}")
        made = make_phantom(recipe.anatomy, budget.size, HELD_OUT_SEED + number, config)
        made.write(folder / home, overwrite=True)
        names = {kind: home / f"{kind}.nii.gz" for kind in ("truth", "labels")}
        # Slices are cropped before anything is done with them where patches are; lungs are a part of a slice.
        mask = recipe.clinical_mask if recipe.clinical_mask == "box" else "none"
        tests.append(HeldOutScan(scan=home / "clinical.nii.gz", mask=mask, **names))
    return clinical, micro, tests


def _reduced_scans(
    folder: Path, budget: Budget, recipe: Recipe, enlargement: int, say: Say
) -> tuple[list[Path], list[Path], list[HeldOutScan]]:
    """Make CTs and reduced copies of them: one set is both domains."""
    config = _config(recipe, CT_SCALE)
    seeds = [*range(1, budget.cases + 1), *range(HELD_OUT_SEED, HELD_OUT_SEED + budget.test_cases)]
    fine, coarse = [], []
    for number, seed in enumerate(seeds, start=1):
        say(f"CT of a phantom, {number} of {len(seeds)}")
        ct = make_phantom(recipe.anatomy, budget.size, seed, config).clinical
        fine.append(Path("ct") / f"case-{number}.nii.gz")
        coarse.append(Path("reduced") / f"case-{number}.nii.gz")
        copy, whole = reduced_copy(ct, enlargement, recipe, seed)
        write(whole, folder / fine[-1], overwrite=True)
        write(copy, folder / coarse[-1], overwrite=True)
    tests = [
        HeldOutScan(scan=scan, truth=truth)
        for scan, truth in zip(coarse[budget.cases :], fine[budget.cases :], strict=True)
    ]
    trained = slice(budget.cases)
    return [folder / one for one in coarse[trained]], [folder / one for one in fine[trained]], tests


def _config(recipe: Recipe, scale: int) -> PhantomConfig:
    return replace(get(recipe.anatomy).usual, scale=scale, slices=scale)
