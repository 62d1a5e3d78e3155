"""The record of a scanner on disk, read back: `Scanner.as_dict` and its inverse."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ctloupe.scanner.noise import NoiseSpectrum
from ctloupe.scanner.scanner import Scanner
from ctloupe.scanner.slice_profile import SliceProfile

_Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class SpectrumRecord(BaseModel):
    """Shape of a noise spectrum, as `Scanner.as_dict` writes it."""

    rise: _Amount
    roll_off: _Length


class ScannerRecord(BaseModel):
    """What of `Scanner.as_dict` says what the scanner is; lengths in mm. What follows from it is not read."""

    model_config = ConfigDict(extra="ignore")

    voxel_mm: tuple[_Length, _Length, _Length]
    blur_mm: _Amount
    noise_hu: _Amount
    noise_spectrum: SpectrumRecord
    slice_thickness_mm: _Length
    slice_softness: _Amount
    gain: _Number = 1.0
    offset_hu: _Number = 0.0

    def scanner(self) -> Scanner:
        """Return the scanner that was recorded."""
        return Scanner(
            self.voxel_mm,
            self.blur_mm,
            self.noise_hu,
            NoiseSpectrum(self.noise_spectrum.rise, self.noise_spectrum.roll_off),
            SliceProfile(self.slice_thickness_mm, self.slice_softness),
            self.gain,
            self.offset_hu,
        )
