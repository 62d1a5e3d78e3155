"""The two patch banks of a run: loaded, put on the training device, and described for the model card."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ctloupe.foundation.errors import FileError
from ctloupe.images.likeness import PATCHES, PERCENTS, image_statistics_of, spread_of
from ctloupe.methods.base import MethodConfig
from ctloupe.methods.package import Fingerprint, ModelCard, software_versions
from ctloupe.prepare.patches import PatchBank
from ctloupe.train.sampler import DeviceBank
from ctloupe.train.settings import TrainSettings

CLINICAL_NAME = "clinical.bank"
MICRO_NAME = "micro.bank"


@dataclass(frozen=True)
class BankPair:
    """Patches of both modalities."""

    clinical: PatchBank
    micro: PatchBank

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What the patches look like; found once a run, and asked for at every checkpoint."""
        return _fingerprint(self)


def load_banks(path: Path) -> BankPair:
    """Open the banks in the folder that ``ctloupe prepare`` wrote.

    Raises
    ------
    FileError
        If one is missing or damaged.
    """
    if not path.is_dir():
        raise FileError(f"{path}: no bank folder here; make one with 'ctloupe prepare'")
    return BankPair(PatchBank.load(path / CLINICAL_NAME), PatchBank.load(path / MICRO_NAME))


def device_bank(bank: PatchBank, device: torch.device, thick: bool = False) -> DeviceBank:
    """Copy a bank to `device` as stored, or to main memory when it would take half of the device's free memory.

    Patches averaged over the slice thickness come with it only when `thick` is asked for.
    """
    wanted = [bank.patches, *([bank.thick] if thick and bank.thick is not None else [])]
    stored = [torch.from_numpy(np.array(one, dtype=np.int16)) for one in wanted]
    gain, offset = bank.unit_line()
    size = sum(one.nbytes for one in stored)
    if device.type != "cuda" or 2 * size < torch.cuda.mem_get_info(device)[0]:
        stored = [one.to(device) for one in stored]
    return DeviceBank(stored[0], gain, offset, device, stored[1] if len(stored) > 1 else None)


def model_card(
    settings: TrainSettings,
    config: MethodConfig,
    banks: BankPair,
    step: int,
    elapsed: float,
    findings: dict[str, float],
) -> ModelCard:
    """Describe the model as trained so far, with what its method has found in the data."""
    return ModelCard(
        method=settings.method,
        preset=settings.preset,
        config=config.model_dump(mode="json"),
        scale=config.scale,
        clinical_window=(banks.clinical.window.low, banks.clinical.window.high),
        micro_window=(banks.micro.window.low, banks.micro.window.high),
        fingerprint=banks.fingerprint,
        mask=banks.clinical.mask or "lungs",
        training={"steps": step, "seconds": round(elapsed, 1), "seed": settings.seed, "findings": findings},
        software=software_versions(),
    )


def _fingerprint(banks: BankPair) -> Fingerprint:
    """Describe the patches, so that a scan unlike them can be recognised."""
    clinical = banks.clinical
    look = image_statistics_of(_in_window(clinical, slice(None)), _pair(clinical))
    looks, first = [], 0
    for one in clinical.provenance:
        last = first + int(one.get("patches", 0))
        if last > first:
            looks.append(image_statistics_of(_in_window(clinical, slice(first, last)), _pair(clinical)))
        first = last
    spread = spread_of(looks)
    return Fingerprint(
        clinical_spacing=_pair(clinical),
        micro_spacing=_pair(banks.micro),
        clinical_percentiles=look.percentiles,
        micro_percentiles=_percentiles(banks.micro),
        patches={"clinical": len(clinical.patches), "micro": len(banks.micro.patches)},
        clinical_power=look.power,
        clinical_spread=(spread.intensity, spread.noise, spread.kernel),
    )


def _in_window(bank: PatchBank, which: slice) -> NDArray[np.float32]:
    """At most so many patches as a look is taken of, in HU, cut off at the window as the network sees them."""
    stored = bank.patches[which]
    stored = stored[:: max(1, len(stored) // PATCHES)]
    values = stored.astype(np.float32) * np.float32(bank.slope) + np.float32(bank.intercept)
    return values.clip(bank.window.low, bank.window.high)


def _pair(bank: PatchBank) -> tuple[float, float]:
    return float(bank.spacing[0]), float(bank.spacing[1])


def _percentiles(bank: PatchBank) -> dict[str, float]:
    every = max(1, bank.patches.size // 4_000_000)
    stored = np.percentile(bank.patches.reshape(-1)[::every], PERCENTS)
    values = stored * bank.slope + bank.intercept
    return {str(percent): round(float(value), 3) for percent, value in zip(PERCENTS, values, strict=True)}
