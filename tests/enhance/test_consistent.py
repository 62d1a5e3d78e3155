"""Any enhancer can be made consistent with the scan as its scanner made it."""

import numpy as np
import pytest

from ctloupe.enhance.consistent import scanner_of_flow
from ctloupe.enhance.resolver import load_model
from ctloupe.foundation.errors import OptionError
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.volume import Volume

CONSISTENT = {"consistent": True, "consistent_with": "scanner"}


@pytest.fixture(scope="module")
def scan():
    """Discs of tissue in air, seen by a scanner whose blur is 0.6 voxels, with noise of 10 HU."""
    y, x = np.mgrid[:256, :256]
    inside = (np.hypot(y - 128, x - 128) < 100) & (np.hypot(y - 100, x - 120) > 30)
    body = np.where(inside, 40.0, -950.0).astype(np.float32)[None]
    clean = ScannerOperator(Scanner((1.0, 2.0, 2.0), 1.2), (1.0, 1.0, 1.0)).forward(body)
    noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    return Volume(noisy.astype(np.int16), (1.0, 1.0, 1.0), modality="clinical", units="HU")


def residual(values, scan):
    operator = ScannerOperator(Scanner((1.0, 2.0, 2.0), 1.2), (1.0, 1.0, 1.0))
    return float(np.abs(operator.forward(values.astype(np.float32)) - scan.data)[:, 12:-12, 12:-12].mean())


def bicubic(**options):
    return load_model("bicubic", 2, **options)


def test_what_the_scanner_sees_comes_nearer_to_the_scan_but_noise_is_not_copied(scan):
    plain, made = (bicubic(**one).enhance(scan).data for one in ({}, CONSISTENT))
    assert residual(made, scan) < 0.8 * residual(plain, scan)
    assert residual(made, scan) > 3


def test_nothing_changes_outside_of_the_mask(scan):
    mask = np.zeros(scan.shape, bool)
    mask[:, 40:90, 30:100] = True
    plain, made = (bicubic(**one).enhance(scan, mask).data for one in ({}, CONSISTENT))
    outside = ~mask.repeat(2, 1).repeat(2, 2)
    assert np.array_equal(plain[outside], made[outside])
    assert not np.array_equal(plain, made)


def test_a_region_equals_the_same_part_of_the_whole_away_from_its_border(scan):
    resolver = bicubic(**CONSISTENT)
    whole = resolver.enhance(scan).data
    part = resolver.enhance(scan, None, (slice(0, 1), slice(40, 100), slice(30, 100))).data
    assert np.array_equal(part[0, 30:-30, 30:-30], whole[0, 110:170, 90:170])


def test_a_scan_without_edges_is_an_error_that_says_what_to_take(scan):
    flat = scan.with_data(np.random.default_rng(0).normal(-800, 10, scan.shape).astype(np.int16))
    with pytest.raises(OptionError, match="too few clean edges to find its blur; take blocks"):
        bicubic(**CONSISTENT).enhance(flat)


def test_planes_are_told_from_slices_only_by_a_model_that_knows_microct(scan):
    with pytest.raises(OptionError, match="needs a model that knows µCT"):
        bicubic(consistent=True, consistent_with="plane").enhance(scan)


def test_of_a_thin_plane_more_than_noise_is_expected_if_the_model_knows_how_much_more(tiny_flow):
    model = load_model(tiny_flow).model
    model.network.thin_plane.fill_(0.01)
    slices, planes = (scanner_of_flow(model.network, model.window, choice).power for choice in ("scanner", "plane"))
    assert (planes > slices).all()
    model.network.thin_plane.zero_()
    with pytest.raises(OptionError, match="does not know how a plane differs"):
        scanner_of_flow(model.network, model.window, "plane")


def test_a_package_of_before_is_read_without_what_it_does_not_know(tiny_flow):
    flow = load_model(tiny_flow).model.network
    flow.load_state_dict({name: value for name, value in flow.state_dict().items() if name != "thin_plane"})
    assert flow.thin_plane_power(0.3) is None
