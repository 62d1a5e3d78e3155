"""A scanner's record is read back as the scanner it was."""

import pytest
from pydantic import ValidationError

from ctloupe.scanner.noise import NoiseSpectrum
from ctloupe.scanner.record import ScannerRecord
from ctloupe.scanner.scanner import Scanner
from ctloupe.scanner.slice_profile import SliceProfile

SCANNER = Scanner((1.0, 0.6, 0.5), 0.3, 12.0, NoiseSpectrum(0.4, 0.7), SliceProfile(1.5, 0.2), 2.0, -5.0)


def test_a_record_read_back_is_the_same_scanner():
    assert ScannerRecord.model_validate(SCANNER.as_dict()).scanner() == SCANNER


@pytest.mark.parametrize("change", [{"blur_mm": -1}, {"voxel_mm": [0, 1, 1]}, {"noise_hu": None}])
def test_a_scanner_that_cannot_be_is_refused(change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        ScannerRecord.model_validate(SCANNER.as_dict() | change)
