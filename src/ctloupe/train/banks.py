"""The two patch banks of a run: loaded, put on the training device, and described for the model card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ctloupe.methods.base import MethodConfig
from ctloupe.methods.package import Fingerprint, ModelCard, software_versions
from ctloupe.prepare.patches import PatchBank
from ctloupe.train.sampler import DeviceBank
from ctloupe.train.settings import TrainSettings
from ctloupe.volume.errors import FileError

CLINICAL_NAME = "clinical.bank"
MICRO_NAME = "micro.bank"
PERCENTS = (1, 5, 25, 50, 75, 95, 99)


@dataclass(frozen=True)
class BankPair:
    """Patches of both modalities."""

    clinical: PatchBank
    micro: PatchBank


def load_banks(path: Path) -> BankPair:
    """Open the banks in the folder that ``ctloupe prepare`` wrote.

    Raises
    ------
    FileError
        If one is missing or damaged.
    """
    if not path.is_dir():
        raise FileError(f"{path}: no bank folder here; make one with 'ctloupe prepare --out {path} ...'")
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
        fingerprint=Fingerprint(
            clinical_spacing=_pair(banks.clinical),
            micro_spacing=_pair(banks.micro),
            clinical_percentiles=_percentiles(banks.clinical),
            micro_percentiles=_percentiles(banks.micro),
            patches={"clinical": len(banks.clinical.patches), "micro": len(banks.micro.patches)},
        ),
        training={"steps": step, "seconds": round(elapsed, 1), "seed": settings.seed, "findings": findings},
        software=software_versions(),
    )


def _pair(bank: PatchBank) -> tuple[float, float]:
    return float(bank.spacing[0]), float(bank.spacing[1])


def _percentiles(bank: PatchBank) -> dict[str, float]:
    every = max(1, bank.patches.size // 4_000_000)
    stored = np.percentile(bank.patches.reshape(-1)[::every], PERCENTS)
    values = stored * bank.slope + bank.intercept
    return {str(percent): round(float(value), 3) for percent, value in zip(PERCENTS, values, strict=True)}
