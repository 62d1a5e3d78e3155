"""µCT patches in the intensities of a clinical scan, each with its own small error of them, as pairs begin."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ctloupe.methods.base import Batch


def in_clinical_intensities(
    batch: Batch, jitter: float, intensities: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the µCT of a batch as it is to be learnt, and as a scanner sees it through the thickness of its slices.

    Parameters
    ----------
    batch
        Patches in [−1, 1].
    jitter
        Standard deviation of a random gain (relative) and offset of each patch.
    intensities
        Maps µCT, with a gain and an offset for each patch, to the intensities of the clinical scan.

    Returns
    -------
    planes, slices : Tensor of shape (n, 1, s·p, s·p)
        The same where the batch has no averages over the thickness.
    neighbours : Tensor of shape (n, 2, s·p, s·p), or None
        The slices below and above, where the batch has them.
    """
    micro, count = batch.micro, len(batch.micro)
    gain = 1 + jitter * torch.randn(count, 1, 1, 1, device=micro.device)
    offset = jitter * torch.randn(count, 1, 1, 1, device=micro.device)
    high = intensities(micro, gain, offset)
    thick, beside = (
        None if one is None else intensities(one, gain, offset)
        for one in (batch.micro_slice_average, batch.micro_neighbours)
    )
    return high, high if thick is None else thick, beside
