"""Real scans: what is said of them is named for what it is."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.metrics.texture import Unpaired, texture_of
from ctloupe.evaluate.protocols.no_truth import compare_without_truth
from ctloupe.foundation.errors import OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.phantom import make_phantom


@pytest.fixture(scope="module")
def case():
    made = make_phantom("lung", (16, 192, 192), 5)
    return made.clinical, truth_on_clinical_slices(made.truth, made.clinical), made.micro


def test_there_is_consistency_and_a_resolution_that_says_what_it_is(case):
    scan, truth, _ = case
    blurred = truth.with_data(gaussian_filter(truth.array(), (0, 1, 1)))
    found = compare_without_truth(scan, {"fine": blurred}, None)
    assert found.protocol == "no-truth, version 2"
    assert list(found.rows) == ["bicubic", "fine"]
    assert set(found.definitions) == {
        "consistency RMS (HU)",
        "consistency bias (HU)",
        "consistency χ²",
        "decorrelation resolution (mm)",
        "mesh (dB)",
    }
    resolution = "decorrelation resolution (mm)"
    assert found.rows["fine"][resolution] < found.rows["bicubic"][resolution] / 2
    assert "invented" in found.definitions[resolution]


def test_micro_ct_adds_realism(case):
    scan, truth, micro = case
    look = texture_of(micro, IntensityWindow(2500, 15000), truth.spacing[1:])
    found = compare_without_truth(scan, {"fine": truth}, None, Unpaired(look, IntensityWindow(-1000, 400)))
    for metric in ("spectrum distance to µCT (dB)", "sliced Wasserstein to µCT"):
        assert found.rows["fine"][metric] < found.rows["bicubic"][metric] / 3


@pytest.mark.slow
def test_micro_ct_of_other_pixels_is_brought_to_those_of_the_enhanced_volume(case):
    _, truth, micro = case
    z, y, x = micro.spacing
    finer = micro.with_data(micro.array().repeat(2, 1).repeat(2, 2), spacing=(z, y / 2, x / 2))
    window = IntensityWindow(2500, 15000)
    same, resampled, not_resampled = (
        texture_of(one, window, spacing)
        for one, spacing in ((micro, truth.spacing[1:]), (finer, truth.spacing[1:]), (finer, finer.spacing[1:]))
    )
    assert 2 * resampled.spectrum_distance(same) < not_resampled.spectrum_distance(same)


def test_the_mask_decides_what_counts(case):
    scan, truth, _ = case
    mask = np.zeros(scan.shape, bool)
    mask[0, 4:20, 4:20] = True
    spoilt = truth.array().copy()
    spoilt[1] = 3000
    found = compare_without_truth(scan, {"fine": truth.with_data(spoilt)}, mask)
    alone = compare_without_truth(scan, {"fine": truth}, mask)
    assert found.rows["fine"] == pytest.approx(alone.rows["fine"], nan_ok=True)
    with pytest.raises(OptionError, match="mask is empty"):
        compare_without_truth(scan, {"fine": interpolated(scan, 8)}, np.zeros(scan.shape, bool))
