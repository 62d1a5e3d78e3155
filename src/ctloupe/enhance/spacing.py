"""Does a model's trained voxel spacing fit a scan?"""

from __future__ import annotations

from ctloupe.foundation.errors import ModelError
from ctloupe.volume.geometry import SPACING_TOLERANCE, relative_difference
from ctloupe.volume.volume import Volume


def require_spacing(volume: Volume, trained: tuple[float, float], model: str) -> None:
    """Raise `ModelError` when the scan's in-plane spacing differs by more than 10% from the trained one.

    Parameters
    ----------
    volume
        The scan.
    trained
        Spacing (y, x) in mm that the model was trained at.
    model
        Name of the model, for the message.
    """
    found = volume.spacing[1:]
    if relative_difference(found, trained) > SPACING_TOLERANCE:
        raise ModelError(
            f"model {model} was trained at {trained[0]:.4g}×{trained[1]:.4g} mm in-plane, the scan has "
            f"{found[0]:.4g}×{found[1]:.4g} mm: give `resample` to bring the scan to the trained spacing, or "
            "`accept_spacing` to go on as it is"
        )
