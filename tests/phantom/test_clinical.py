"""The scanners: where voxels lie, what values they take, what the noise is like."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.lung import lung_anatomy
from ctloupe.phantom.clinical import clinical_scan
from ctloupe.volume.volume import Volume


def fine(values, **place):
    return Volume(values, (0.1, 0.1, 0.1), units="HU", **place)


@settings(max_examples=15, deadline=None)
@given(angles=st.tuples(*[st.floats(-3, 3)] * 3), scale=st.sampled_from([2, 4, 8]), slices=st.sampled_from([1, 3, 4]))
def test_a_clinical_voxel_lies_at_the_mean_of_its_fine_voxels(angles, scale, slices):
    direction = Rotation.from_euler("xyz", angles).as_matrix()
    truth = fine(np.zeros((2 * slices, 3 * scale, 2 * scale), np.int16), origin=(3, -4, 5), direction=direction)
    scan = clinical_scan(truth, scale, slices, noise_hu=0)
    for index in ((0, 0, 0), (1, 2, 1)):
        begin = np.multiply(index, (slices, scale, scale))
        inside = [truth.physical(tuple(begin + np.array(offset))) for offset in np.ndindex(slices, scale, scale)]
        assert np.allclose(scan.physical(index), np.mean(inside, axis=0), atol=1e-9)
    assert scan.spacing == pytest.approx((0.1 * slices, 0.1 * scale, 0.1 * scale))


def test_a_ramp_stays_the_same_function_of_position_and_a_constant_stays_constant():
    values = np.empty((8, 64, 64), np.float32)
    empty = fine(values, origin=(10, 20, 30), direction=Rotation.from_euler("z", 0.4).as_matrix())
    slope = np.array([30.0, -20.0, 10.0])

    def ramp(volume):
        z, y, x = np.indices(volume.shape)
        return (slope @ (volume.affine @ np.stack([x, y, z, np.ones_like(x)]).reshape(4, -1))[:3]).reshape(volume.shape)

    scan = clinical_scan(empty.with_data(ramp(empty).astype(np.float32)), 4, 4, noise_hu=0)
    inside = (slice(None), slice(3, -3), slice(3, -3))
    assert np.abs(scan.data - ramp(scan))[inside].max() < 1.0
    flat = clinical_scan(fine(np.full((8, 32, 32), -777, np.int16)), 4, 4, noise_hu=0)
    assert (flat.data == -777).all()


@pytest.fixture(scope="module")
def lung():
    return fine(lung_anatomy((32, 96, 96), 4).hu, origin=(1, 2, 3))


@pytest.mark.parametrize("parts", [(), ("ringing",), ("motion",), ("double-edge",), ("ringing", "streaks")])
def test_the_scan_lies_over_the_truth_as_simpleitk_sees_it(lung, parts):
    scan = clinical_scan(lung, 8, 8, noise_hu=5 if "streaks" in parts else 0, parts=parts)
    image = sitk.GetImageFromArray(gaussian_filter(lung.data.astype(np.float32), 4))
    image.SetSpacing((0.1, 0.1, 0.1))
    image.SetOrigin((1.0, 2.0, 3.0))
    grid = sitk.GetImageFromArray(scan.data)
    grid.SetSpacing(scan.spacing[::-1])
    scores = {}
    for shift in (-0.3, -0.1, 0.0, 0.1, 0.3):
        grid.SetOrigin(tuple(value + shift for value in scan.origin))
        seen = sitk.GetArrayFromImage(sitk.Resample(image, grid))
        inner = (slice(1, -1), slice(1, -1), slice(1, -1))
        scores[shift] = np.corrcoef(seen[inner].ravel(), scan.data[inner].ravel())[0, 1]
    assert max(scores, key=scores.get) == 0.0


def test_a_wider_point_spread_gives_a_smoother_scan():
    truth = fine(lung_anatomy((8, 96, 96), 1).hu)
    spread = [clinical_scan(truth, 8, 8, fwhm_mm=width, noise_hu=0).data.std() for width in (0.2, 0.8, 2.0)]
    assert spread[0] > spread[1] > spread[2]


def test_a_size_that_cannot_be_divided_names_the_nearest():
    with pytest.raises(OptionError, match="8 32 40"):
        clinical_scan(fine(np.zeros((9, 33, 41), np.int16)), 8, 8)


def test_a_sharper_kernel_blurs_less_and_has_finer_noise():
    edge = np.full((8, 128, 128), -800, np.int16)
    edge[:, :, 64:] = 0
    steepest, fineness = {}, {}
    for kernel in ("smooth", "standard", "sharp"):
        clean = clinical_scan(fine(edge), 4, 4, noise_hu=0, kernel=kernel)
        noisy = clinical_scan(fine(np.zeros((8, 256, 256), np.int16)), 4, 4, noise_hu=50, kernel=kernel, seed=1)
        noise = noisy.data.astype(float)
        assert noise.std() == pytest.approx(50, rel=0.1)
        steepest[kernel] = np.abs(np.diff(clean.data.astype(float), axis=2)).max()
        fineness[kernel] = np.mean(np.diff(noise, axis=2) ** 2) / noise.var()
        assert kernel in clean.history[-1]
    assert steepest["smooth"] < steepest["standard"] < steepest["sharp"]
    assert fineness["smooth"] < fineness["standard"] < fineness["sharp"]
    with pytest.raises(OptionError, match="smooth, standard, sharp"):
        clinical_scan(fine(edge), 4, 4, kernel="bone")


@pytest.mark.parametrize("parts", [("ringing",), ("wide-body",), ("motion", "streaks")])
def test_a_scanner_of_the_other_family_has_the_noise_and_the_mean_that_a_usual_one_has(lung, parts):
    usual, clean = (clinical_scan(lung, 8, 8, noise_hu=0, parts=one) for one in ((), parts))
    noisy = clinical_scan(lung, 8, 8, noise_hu=30, parts=parts, seed=3)
    noise = noisy.data.astype(float) - clean.data
    assert noise.std() == pytest.approx(30, rel=0.02) and abs(noise.mean()) < 0.5
    assert clean.data.mean() == pytest.approx(usual.data.mean(), abs=3)
    assert "another family" in noisy.history[-1] and "another family" not in usual.history[-1]
    assert np.array_equal(noisy.data, clinical_scan(lung, 8, 8, noise_hu=30, parts=parts, seed=3).data)
    assert not np.array_equal(noisy.data, clinical_scan(lung, 8, 8, noise_hu=30, parts=parts, seed=4).data)


def test_a_kernel_beside_one_that_rings_is_refused(lung):
    for asked, message in (({"kernel": "sharp"}, "`kernel` sharp"), ({"fwhm_mm": 0.5}, "`fwhm_mm` 0.5")):
        with pytest.raises(OptionError, match=message):
            clinical_scan(lung, 8, 8, parts=("ringing",), **asked)
