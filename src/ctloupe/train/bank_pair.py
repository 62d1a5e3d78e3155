"""The two patch banks of a run: loaded, and put on the training device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ctloupe.foundation.errors import FileError
from ctloupe.methods.package import Fingerprint
from ctloupe.prepare.patches import PatchBank
from ctloupe.train.fingerprint import fingerprint_of
from ctloupe.train.sampler import DeviceBank

CLINICAL_NAME = "clinical.bank"
MICRO_NAME = "micro.bank"


@dataclass(frozen=True)
class BankPair:
    """The banks of both modalities."""

    clinical: PatchBank
    micro: PatchBank

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What the patches look like; found once a run, and asked for at every checkpoint."""
        return fingerprint_of(self.clinical, self.micro)


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


def device_bank(bank: PatchBank, device: torch.device, slice_averages: bool = False) -> DeviceBank:
    """Copy a bank to `device` as stored, or to main memory when it would take half of the device's free memory.

    Patches averaged over the slice thickness come with it only when `slice_averages` is asked for.
    """
    wanted = [bank.patches, *([bank.slice_averages] if slice_averages and bank.slice_averages is not None else [])]
    stored = [torch.from_numpy(np.array(one, dtype=np.int16)) for one in wanted]
    gain, offset = bank.unit_line()
    size = sum(one.nbytes for one in stored)
    if device.type != "cuda" or 2 * size < torch.cuda.mem_get_info(device)[0]:
        stored = [one.to(device) for one in stored]
    return DeviceBank(stored[0], gain, offset, device, stored[1] if len(stored) > 1 else None)
