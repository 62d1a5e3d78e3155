"""Pairs for peers: µCT of a bank, and what the scanner that is estimated from its clinical patches makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ctloupe.foundation.errors import OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.methods.clinical_pairs import in_clinical_intensities
from ctloupe.methods.physics_srgan import PhysicsSRGAN
from ctloupe.train.bank_pair import BankPair, device_bank, load_banks
from ctloupe.train.sampler import UnpairedSampler

EXAMINED = 128
"""Patches from which the scanner is estimated, as in training."""


def sizes(banks: BankPair) -> tuple[int, int]:
    """Return the in-plane enlargement of two banks, and the side of their patches in pixels of the scan."""
    scale = round(banks.clinical.spacing[0] / banks.micro.spacing[0])
    return scale, min(banks.clinical.patch_size, banks.micro.patch_size // scale)


class Pairs:
    """The pairs that Physics-SRGAN learns from: blur and noise near the estimate, intensities of the clinical scan.

    Parameters
    ----------
    bank
        Folder that ``ctloupe prepare`` made.
    patch
        Side of the scans in pixels; cut from the patches of the bank.
    seed
        Seed of the order of the patches; scanners and noise come from PyTorch's generator.

    Attributes
    ----------
    scale
        In-plane enlargement.
    window, micro_window
        Windows that take HU and the values of the µCT to [−1, 1].
    """

    def __init__(self, bank: Path, patch: int = 16, seed: int = 0) -> None:
        banks = load_banks(bank)
        self.scale, whole = sizes(banks)
        self.window: IntensityWindow = banks.clinical.window
        self.micro_window: IntensityWindow = banks.micro.window
        if whole < patch:
            raise OptionError(f"`bank` {bank}: patches of {whole} pixels, the peers need {patch}; prepare larger ones")
        self.method = PhysicsSRGAN(PhysicsSRGAN.configure("tiny", {"scale": self.scale, "patch_size": whole}))
        cpu = torch.device("cpu")
        stored = device_bank(banks.clinical, cpu), device_bank(banks.micro, cpu, slice_averages=True)
        sampler = UnpairedSampler(*stored, whole, self.scale, EXAMINED, seed)
        self.method.examine(sampler.batch(0))
        self.sampler = replace(sampler, patch_size=patch, flips=True)
        self._drawn = 0

    @property
    def blur(self) -> float:
        """Standard deviation of the estimated point spread in pixels of the scan."""
        return float(self.method.scanner[0])

    @property
    def noise(self) -> float:
        """Standard deviation of the estimated noise in units of [−1, 1]."""
        return float(self.method.scanner[1])

    @torch.no_grad()
    def draw(self, count: int, jitter: float = 0.02) -> tuple[Tensor, Tensor]:
        """Return `count` further pairs: scans ``(n, 1, p, p)``, and what they are of ``(n, 1, s·p, s·p)``."""
        batch = replace(self.sampler, batch_size=count).batch(self._drawn // count)
        self._drawn += count
        high, thick, _ = in_clinical_intensities(batch, jitter, self.method.clinical_intensities)
        return self.method.degraded(thick), high
