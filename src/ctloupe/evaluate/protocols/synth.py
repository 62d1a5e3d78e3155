"""Protocol ``synth``: µCT made clinical-like by a trained network, enhanced, and compared with itself (Synth 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ctloupe.enhance.resolver import SuperResolver
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.patch_fidelity import PATCH_FIDELITY
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.pseudo_paired import Plane, compare_shrunk
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume

SYNTH: Final = Protocol("synth", 2, "µCT made clinical-like by one trained network (Synth 2020)", PATCH_FIDELITY)
"""Version 1 gave each method of a study what its own network had made."""


def compare_synthesised(
    micro: Volume,
    resolver: SuperResolver,
    clinical_like: Callable[[Tensor], Tensor],
    micro_window: IntensityWindow,
    patches: int | None = None,
    seed: int = 0,
) -> Comparison:
    """Protocol of Synth 2020: enhance what a trained network makes of µCT patches, and compare with the µCT.

    Parameters
    ----------
    micro, resolver, micro_window, patches, seed
        The same as in `compare_by_jmi`.
    clinical_like
        Maps µCT ``(n, 1, s·h, s·w)`` in [−1, 1] to clinical-like images ``(n, 1, h, w)``: the paper's G1(f(y)).

    Raises
    ------
    GeometryError
        If slices are smaller than a patch.
    """
    fine = resolver.patch_size * resolver.scale

    def shrink(z: int, plane: Plane, top: int, left: int) -> Plane:
        high = np.ascontiguousarray(plane[top : top + fine, left : left + fine])
        with torch.no_grad():
            low: Plane = clinical_like(torch.from_numpy(high)[None, None]).float()[0, 0].numpy()
        return low

    return compare_shrunk(SYNTH, micro, resolver, micro_window, shrink, patches, seed)
