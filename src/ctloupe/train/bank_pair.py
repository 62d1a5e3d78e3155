"""The two patch banks of a run: loaded, and put on the training device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ctloupe.foundation.errors import FileError, OptionError
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


def require_hu(banks: BankPair, method: str) -> None:
    """Refuse clinical volumes that were scaled each by its own range, for a method that needs one scale for all.

    Raises
    ------
    OptionError
        If they were.
    """
    if banks.clinical.scaling == "min-max":
        raise OptionError(
            f"method {method} models a scanner, which is described in HU, and the clinical volumes of this bank were "
            "scaled each by its own range (min-max): make one with 'ctloupe prepare' and `clinical_window` LOW,HIGH, "
            "or take another method"
        )


def device_bank(
    bank: PatchBank, device: torch.device, slice_averages: bool = False, neighbours: bool = False
) -> DeviceBank:
    """Copy a bank to `device` as stored, or to main memory when it would take half of the device's free memory.

    Patches averaged over the slice thickness, and the slices below and above, come with it only when they are asked
    for.

    Raises
    ------
    OptionError
        If the bank has no neighbours, and they are asked for.
    """
    if neighbours and bank.neighbours is None:
        raise OptionError(
            f"the {bank.modality} bank keeps no neighbouring slices, which this method is configured to look at: make "
            "it again with 'ctloupe prepare' and `neighbours`, or set neighbours=false"
        )
    wanted = {"patches": bank.patches}
    if slice_averages and bank.slice_averages is not None:
        wanted["slice_averages"] = bank.slice_averages
    if neighbours and bank.neighbours is not None:
        wanted["neighbours"] = bank.neighbours.patches
    stored = {name: torch.from_numpy(np.array(one, dtype=np.int16)) for name, one in wanted.items()}
    gain, offset = bank.unit_line()
    size = sum(one.nbytes for one in stored.values())
    if device.type != "cuda" or 2 * size < torch.cuda.mem_get_info(device)[0]:
        stored = {name: one.to(device) for name, one in stored.items()}
    spacings = None
    if neighbours and bank.neighbours is not None:
        spacings = torch.from_numpy(np.array(bank.neighbours.spacings))
    return DeviceBank(**stored, gain=gain, offset=offset, device=device, slice_spacings=spacings)
