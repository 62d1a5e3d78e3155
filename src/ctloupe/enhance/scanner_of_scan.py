"""The scanner of the scan that is enhanced, for networks that are told it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.scanner.edges import blur_from_edges
from ctloupe.scanner.estimate import DISAGREEMENT, LARGEST_MISFIT, estimate_blur_and_noise
from ctloupe.volume.geometry import SPACING_TOLERANCE
from ctloupe.volume.volume import Volume

_CUT_OFF: Final = 0.05
"""Share of the voxels of a patch at an end of the window above which its noise is cut off, as in air."""

_FEWEST: Final = 8


def told_the_scanner(
    network: FlowEnhancer,
    patches: Tensor,
    scan: Volume,
    window: IntensityWindow,
    seed: int,
    tell: Callable[[str], None],
) -> FlowEnhancer:
    """Return the network set to undo the scanner of `scan`.

    Blur and noise are those for which the µCT of the training would have the spectrum of the scan; edges of the scan
    give a second estimate of the blur. Where they disagree, the first is taken, and the line says so.

    Parameters
    ----------
    network
        The trained network.
    patches : (n, 1, p, p) in [−1, 1]
        Patches of the scan, where it is enhanced.
    scan, window
        The whole scan, and the window that its patches were brought to [−1, 1] with.
    seed
        Seed of the choice of edges.
    tell
        Told what was found.
    """
    network = _told_the_slices(network, scan, tell)
    spectra = network.spectra()
    try:
        if spectra is None:
            raise ValueError("this model knows no µCT")
        found = estimate_blur_and_noise(_within_the_window(patches[:, 0].cpu().numpy()), spectra)
    except ValueError as error:
        tell(f"scanner: not found ({error}); taken as that of the training data")
        return network
    hu = found.noise * (window.high - window.low) / 2
    tell(f"scanner: blur {found.blur:.2f} voxels, noise {hu:.0f} HU (misfit of the spectra {found.misfit:.2f})")
    if found.misfit > LARGEST_MISFIT:
        tell("warning: the spectra of this scan and of the µCT of the training do not fit; distrust the scanner")
    edges = blur_from_edges(scan, seed)
    if edges is None:
        tell("scanner: the scan shows too few clean edges for a second estimate of its blur")
    else:
        second = edges.blur / scan.spacing[2]
        tell(f"scanner: blur {second:.2f} voxels by {edges.count} edges of the scan")
        if abs(second - found.blur) > DISAGREEMENT:
            tell("warning: the two estimates of the blur disagree; compare the results of both before trusting either")
    numbers = {"blur": found.blur, "noise": found.noise}
    return network.with_scanner(numbers | {"rise": found.spectrum.rise, "roll_off": found.spectrum.roll_off})


def _told_the_slices(network: FlowEnhancer, scan: Volume, tell: Callable[[str], None]) -> FlowEnhancer:
    """The network set to the distance of the scan's slices, where it looks at neighbours."""
    if not network.neighbours:
        return network
    spacing, (low, high) = scan.spacing[0], network.slice_spacings.tolist()
    if not low / (1 + SPACING_TOLERANCE) <= spacing <= high * (1 + SPACING_TOLERANCE):
        tell(
            f"warning: slices of {spacing:.4g} mm, the model looks at neighbouring slices and was trained on "
            f"{low:.4g} to {high:.4g} mm; distrust what it makes of them"
        )
    return network.with_slice_spacing(spacing)


def _within_the_window(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Patches whose values the window has not cut off; all where these are too few."""
    kept = (np.abs(patches) >= 1).mean((1, 2)) <= _CUT_OFF
    return patches[kept] if np.count_nonzero(kept) >= _FEWEST else patches
