"""Consistency χ²: 1 for what the scanner saw, less for copied noise, more for what contradicts the scan."""

from dataclasses import replace

import numpy as np
import pytest

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.metrics.scan_chi2 import CONSISTENCY_CHI2
from ctloupe.evaluate.protocols.no_truth import compare_without_truth
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.phantom.anatomies.registry import get
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.phantom import make_phantom
from ctloupe.scanner.noise import exact_noise
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.volume import Volume

LABEL = CONSISTENCY_CHI2.label
SCALE = 4


def phantom(kernel="standard"):
    """A scan, and the truth averaged over its slices."""
    config = replace(get("lung").usual, scale=SCALE, slices=4, kernel=kernel)
    made = make_phantom("lung", (16, 128, 128), 3, config)
    slab = truth_on_clinical_slices(made.truth, made.clinical, "slab")
    return made, slab.with_data(slab.array())


@pytest.fixture(scope="module")
def case():
    made, slab = phantom()
    return made.clinical, slab


def noise_copied(scan, truth, blur):
    """An image that the scanner sees as the scan with all its noise: Landweber's iteration for A x = scan."""
    operator = ScannerOperator(Scanner(scan.spacing, blur), truth.spacing)
    target, image = scan.array().astype(np.float32), interpolated(scan, SCALE).array().astype(np.float32)
    for _ in range(30):
        # The largest singular value of A is 1/s.
        image += SCALE**2 * operator.adjoint(target - operator.forward(image))
    return truth.with_data(image)


@pytest.fixture(scope="module")
def found(case):
    scan, truth = case
    copied = noise_copied(scan, truth, Scanner.with_kernel("standard", scan.spacing).blur)
    brighter = truth.with_data(truth.array() + 30)
    return compare_with_truth(scan, {"truth": truth, "copied": copied, "brighter": brighter}, truth)


def test_the_truth_averaged_over_the_slice_agrees_with_the_scan(found):
    assert 0.8 < found.rows["truth"][LABEL] < 1.2
    assert found.limits[LABEL] == found.rows["truth"][LABEL]


def test_interpolation_does_not(found):
    assert abs(found.rows["bicubic"][LABEL] - 1) > 0.5


def test_an_image_that_copies_the_noise_of_the_scan_gets_well_below_1(found):
    assert found.rows["copied"][LABEL] < 0.3


def test_a_shift_of_30_hu_is_seen(found):
    assert found.rows["brighter"][LABEL] > 1.5 * found.rows["truth"][LABEL]


def test_the_record_says_what_scanner_was_found_and_the_ideal(case, found):
    scan, _ = case
    scanner = found.facts["scanner"]
    assert scanner["blur_mm"] == pytest.approx(Scanner.with_kernel("standard", scan.spacing).blur, abs=0.03)
    assert scanner["noise_hu"] == pytest.approx(20, rel=0.15)
    assert "truth" in scanner["found_from"]
    assert found.ideal == {LABEL: 1.0} and found.better[LABEL] == "near ideal"


def test_a_plane_thinner_than_the_slice_is_judged_by_the_scanner_of_the_thick_truth():
    made, slab = phantom("sharp")
    thin = truth_on_clinical_slices(made.truth, made.clinical)
    found = compare_with_truth(made.clinical, {"thin": thin, "slab": slab}, thin, thick_truth=slab)
    assert found.limits[LABEL] == found.rows["slab"][LABEL]
    assert 0.8 < found.limits[LABEL] < 1.2 < found.rows["thin"][LABEL]


def test_only_the_mask_counts(case):
    scan, truth = case
    mask = np.zeros(scan.shape, bool)
    mask[:, :16, :16] = True
    # Far enough from the mask that the point spread does not reach into it.
    spoilt = truth.array().copy()
    spoilt[:, 24 * SCALE :] = 2000
    masked = compare_with_truth(scan, {"x": truth.with_data(spoilt)}, truth, mask)
    assert masked.rows["x"][LABEL] == pytest.approx(masked.limits[LABEL])
    mask[:, ::4] = False
    narrow = compare_with_truth(scan, {"x": truth}, truth, mask)
    assert np.isnan(narrow.rows["x"][LABEL])
    assert "8×8" in narrow.facts["scanner"]["found_from"]


def test_without_truth_and_edges_there_is_no_number_but_a_reason(case):
    scan, truth = case
    alone = compare_without_truth(scan, {"x": truth})
    assert np.isnan(alone.rows["x"][LABEL]) and not alone.limits
    assert "edges" in alone.facts["scanner"]["found_from"]


@pytest.mark.slow
def test_without_truth_the_scanner_is_found_at_the_skin_and_in_smooth_tissue():
    y, x = np.mgrid[:260, :260]
    inside = ((y - 130) / 105) ** 2 + ((x - 130) / 115) ** 2 < 1
    body = np.stack([np.where(inside, 40.0, -1000.0)] * 2).astype(np.float32)
    scanner = Scanner.with_kernel("standard", (1.0, 0.8, 0.8), 20.0)
    image = ScannerOperator(scanner, (1.0, 0.2, 0.2)).forward(body)
    image += exact_noise(image.shape, 20.0, scanner.spectrum, np.random.default_rng(1))
    scan = Volume(image, (1.0, 0.8, 0.8), units="HU")
    fine = Volume(body, (1.0, 0.2, 0.2), origin=(-0.3, -0.3, 0.0), units="HU")
    found = compare_without_truth(scan, {"body": fine, "brighter": fine.with_data(body + 30)})
    # In pure noise the level comes out up to a quarter too low, and χ² as much too high as its square says.
    assert 0.8 < found.rows["body"][LABEL] < 1 / 0.75**2
    assert found.rows["brighter"][LABEL] > 1.5 * found.rows["body"][LABEL]
    assert "edges" in found.facts["scanner"]["found_from"]
