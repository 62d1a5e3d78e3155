"""A real µCT as truth: how a drawn scanner makes a scan of it, and what is refused."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.paired_micro import (
    BLUR_VOXELS,
    NOISE_HU,
    RISE,
    ROLL_OFF,
    PairedMicroRequest,
    drawn_scanner,
    pair_micro,
)
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume


@pytest.fixture(scope="module")
def micro(tmp_path_factory):
    """A µCT of blobs that fills no whole number of clinical voxels, turned and moved in space."""
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(11, 50, 67)), 1.5)
    values = (smooth / smooth.std() * 3000 + 9000).astype(np.int16)
    turned = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    file = tmp_path_factory.mktemp("micro") / "specimen.nii.gz"
    write(Volume(values, (0.05, 0.05, 0.05), (1.0, -2.0, 3.0), turned, modality="micro"), file)
    return file


def asked(micro, **changes):
    return PairedMicroRequest(micro, **{"seed": 3, "scale": 4, "slices": 4} | changes)


def test_truth_and_scan_lie_over_each_other_in_space(micro):
    made = pair_micro(asked(micro))
    assert made.truth.shape == (8, 48, 64) and made.clinical.shape == (2, 12, 16)
    assert made.clinical.spacing == pytest.approx((0.2, 0.2, 0.2))
    middle = np.mean([made.truth.physical(np.add((4, 8, 12), at)) for at in np.ndindex(4, 4, 4)], axis=0)
    assert np.allclose(made.clinical.physical((1, 2, 3)), middle, atol=1e-9)
    assert np.allclose(made.truth.physical((0, 0, 0)), read(micro).physical((0, 0, 0)))
    assert truth_on_clinical_slices(made.truth, made.clinical).shape == (2, 48, 64)


def test_the_truth_is_the_micro_ct_by_one_straight_line(micro):
    made = pair_micro(asked(micro, micro_window=(2500.0, 15000.0), hu=(-1000.0, 400.0)))
    raw = read(micro).array()[:8, :48, :64].astype(float)
    assert np.abs(made.truth.array() - ((raw - 2500) * 1400 / 12500 - 1000)).max() <= 0.501
    by_percentiles = pair_micro(asked(micro)).truth.array()
    assert np.percentile(by_percentiles, (1, 99)) == pytest.approx((-1000, 500), abs=2)


def test_the_scan_is_that_of_the_recorded_scanner_and_noise(micro):
    made = pair_micro(asked(micro))
    clean = ScannerOperator(made.scanner, made.truth.spacing).forward(made.truth.array())
    assert (made.clinical.array() - clean).std() == pytest.approx(made.scanner.noise, rel=0.02)
    assert made.record["scanner"] == made.scanner.as_dict()


def test_a_seed_gives_one_scanner_and_seeds_cover_the_stated_range():
    drawn = [drawn_scanner((0.6, 0.5, 0.5), seed) for seed in range(200)]
    assert drawn[7] == drawn_scanner((0.6, 0.5, 0.5), 7) != drawn[8]
    numbers = np.array([(one.blur_voxels, one.noise, one.spectrum.rise, one.spectrum.roll_off) for one in drawn])
    for column, (low, high) in zip(numbers.T, (BLUR_VOXELS, NOISE_HU, RISE, ROLL_OFF), strict=True):
        assert low <= column.min() < low + 0.1 * (high - low)
        assert high >= column.max() > high - 0.1 * (high - low)


def test_only_the_planes_asked_for_are_used(micro):
    part, whole = pair_micro(asked(micro, planes=(4, 8), micro_window=(0.0, 15000.0))), read(micro)
    assert part.truth.shape[0] == 4
    assert np.allclose(part.truth.physical((0, 0, 0)), whole.physical((4, 0, 0)))


def test_a_pair_is_written_whole_and_never_over_another(micro, tmp_path):
    made = pair_micro(asked(micro))
    made.write(tmp_path)
    assert (read(tmp_path / "truth.nii.gz").array() == made.truth.array()).all()
    assert json.loads((tmp_path / "paired-micro.json").read_text()) == made.record
    with pytest.raises(FileError, match="exists already; give `overwrite`"):
        made.write(tmp_path)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"scale": 0}, OptionError, "`scale` 0"),
        ({"seed": -1}, OptionError, "`seed` -1"),
        ({"hu": (500.0, -1000.0)}, OptionError, "`hu` 500,-1000"),
        ({"planes": (4, 12)}, OptionError, "`planes` 4:12: the µCT has slices 0:11"),
        ({"scale": 8}, GeometryError, "no scan of at least 1×8×8"),
        ({"slices": 16}, GeometryError, "smaller `scale` or `slices`"),
    ],
)
def test_what_makes_no_pair_is_refused(micro, changes, kind, message):
    with pytest.raises(kind, match=message):
        pair_micro(asked(micro, **changes))
