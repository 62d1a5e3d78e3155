"""µCT patches with the clinical-like images a trained method makes of them, written as a data set of pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.inputs import require_apart
from ctloupe.methods.base import Method
from ctloupe.prepare.patches import PatchBank
from ctloupe.train.bank_pair import CLINICAL_NAME, MICRO_NAME, load_banks
from ctloupe.train.run_folder import RunFolder
from ctloupe.train.stages import load_method

AT_ONCE = 16


@torch.no_grad()
def write_pairs(
    run: Path, out: Path, progress: Callable[[int], None] | None = None, overwrite: bool = False, seed: int = 0
) -> int:
    """Write a bank folder whose clinical patch k is what a clinical scanner would have made of its µCT patch k.

    Parameters
    ----------
    run
        Run folder of a method that makes clinical-like images; its µCT bank is used.
    out
        Bank folder to make, as ``ctloupe prepare`` writes them.
    progress
        Function that is told the number of finished patches.
    overwrite
        Whether to replace what is there.
    seed
        Seed of methods that add noise.

    Returns
    -------
    int
        Number of pairs.

    Raises
    ------
    FileError, OptionError
        If there is no such run, its method makes no clinical-like images, or `out` would touch run or bank.
    """
    settings = RunFolder(run).settings()
    require_apart([run, settings.bank], [out])
    banks = load_banks(settings.bank)
    method = load_method(run)
    fine = method.config.patch_size * method.config.scale
    start = (banks.micro.patch_size - fine) // 2
    micro = replace(banks.micro, patches=banks.micro.patches[:, start : start + fine, start : start + fine])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        stored = _clinical_like(method, micro, banks.clinical, progress)
    source = {"name": f"made from µCT by {settings.method}", "patches": len(stored), "seed": seed}
    with replacing(out, overwrite) as temporary:
        temporary.mkdir()
        replace(banks.clinical, patches=stored, provenance=[source]).save(temporary / CLINICAL_NAME)
        micro.save(temporary / MICRO_NAME)
    return len(stored)


def _clinical_like(
    method: Method, micro: PatchBank, clinical: PatchBank, progress: Callable[[int], None] | None
) -> NDArray[np.int16]:
    """Make the images and store them as the clinical bank does."""
    gain, offset = micro.unit_line()
    size = method.config.patch_size
    stored = np.empty((len(micro.patches), size, size), np.int16)
    for first in range(0, len(stored), AT_ONCE):
        some = np.asarray(micro.patches[first : first + AT_ONCE], dtype=np.float32)
        images = torch.from_numpy((some * gain + offset).clip(-1, 1))[:, None]
        values = clinical.window.from_unit(method.clinical_like(images)[:, 0].numpy())
        coded = (values - clinical.intercept) / clinical.slope
        stored[first : first + AT_ONCE] = np.rint(coded).clip(-32768, 32767)
        if progress is not None:
            progress(min(first + AT_ONCE, len(stored)))
    return stored
