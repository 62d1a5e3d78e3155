"""Whether a series is a CT, and what its headers say that whoever uses its values must know."""

from __future__ import annotations

from collections.abc import Sequence

from ctloupe.foundation.errors import IntensityError
from ctloupe.volume.formats.dicom.headers import Slice, at_fault
from ctloupe.volume.volume import Modality, Units

_TAKEN = ("CT", "OT", "")
_HOUNSFIELD = ("", "HU", "HU_MOD", "US")


def check_kind(slices: Sequence[Slice]) -> None:
    """Raise `IntensityError` where the images are of another modality, or survey views for planning."""
    other = [one for one in slices if one.header.modality not in _TAKEN]
    if other:
        raise IntensityError(
            f"{at_fault(other)}: Modality {other[0].header.modality[:16]}, expected CT; choose a CT series"
        )
    scouts = [one for one in slices if "LOCALIZER" in one.header.kinds]
    if scouts:
        raise IntensityError(
            f"{at_fault(scouts)}: ImageType LOCALIZER, a survey view and no slice; choose the series of slices"
        )


def meaning_of(slices: Sequence[Slice]) -> tuple[Modality, Units, tuple[str, ...]]:
    """Return modality and units of a checked series, and the notes that go with them."""
    first, notes = slices[0], []
    ct = first.header.modality == "CT"
    if not ct:
        notes.append(f"Modality is {first.header.modality or 'missing'}, not CT, so the units are unknown")
    unscaled = all(one.slope is None and one.intercept is None for one in slices)
    if unscaled:
        notes.append("no rescale tags: stored values taken as they are (slope 1, intercept 0), units unknown")
    # Spectral CT stores electron density, effective atomic number and the like under the same modality.
    hounsfield = first.rescale_type in _HOUNSFIELD
    if not hounsfield:
        notes.append(f"RescaleType is {first.rescale_type[:16]}, so the values are not HU")
    if any(one.header.lossy for one in slices):
        notes.append("LossyImageCompression is 01: the values were changed when the images were compressed")
    if any(one.header.burned_in for one in slices):
        notes.append("BurnedInAnnotation is YES: text in the pixels may name the patient")
    units: Units = "HU" if ct and hounsfield and not unscaled else "raw"
    return "clinical" if ct else "unknown", units, tuple(notes)


def notes_of_distance(slices: Sequence[Slice], spacing: float, tolerance: float) -> tuple[str, ...]:
    """Return what to say of a single slice, or where SpacingBetweenSlices is not the distance of the positions."""
    if len(slices) == 1:
        return (f"a single slice, whose thickness of {spacing:.4g} mm is taken for the distance of slices",)
    stated = next((one.distance for one in slices if one.distance is not None), None)
    if stated is None or abs(stated - spacing) <= tolerance * spacing:
        return ()
    return (f"SpacingBetweenSlices is {stated:.4g} mm, the positions lie {spacing:.4g} mm apart and are taken",)
