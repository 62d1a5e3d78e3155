"""µCT shrunk and enhanced again."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.protocols.jmi import JMI_CODE, compare_by_jmi, shrink_cubic, shrink_to_corners
from ctloupe.foundation.errors import GeometryError
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_shrinking_samples_the_coarse_voxel_centres_without_antialiasing(scale):
    image = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)
    at = [(np.arange(n // scale) + 0.5) * scale - 0.5 for n in image.shape]
    oracle = map_coordinates(image, np.meshgrid(*at, indexing="ij"), order=3, mode="nearest")
    assert np.abs(shrink_cubic(image, scale) - oracle)[2:-2, 2:-2].max() < 1e-3


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_the_released_codes_shrinking_keeps_the_corners(scale):
    image = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)
    at = [np.linspace(0, n - 1, n // scale) for n in image.shape]
    oracle = map_coordinates(image, np.meshgrid(*at, indexing="ij"), order=3, mode="mirror")
    np.testing.assert_allclose(shrink_to_corners(image, scale), oracle, atol=1e-4)


def test_the_released_codes_protocol_has_its_own_name_and_a_worse_bicubic_row():
    y, x = np.mgrid[:128, :128]
    smooth = (7500 + 3000 * np.sin(y / 30) * np.cos(x / 25)).astype(np.float32)[None]
    micro, resolver, window = Volume(smooth, (1, 1, 1)), load_model("bicubic", 2), IntensityWindow(0, 15000)
    ours = compare_by_jmi(micro, resolver, window).rows["bicubic"]
    theirs = compare_by_jmi(micro, resolver, window, protocol=JMI_CODE)
    assert theirs.protocol.startswith("jmi-code")
    # The image drifts away from the place that it is compared at.
    assert theirs.rows["bicubic"]["PSNR peak 1 (dB)"] < ours["PSNR peak 1 (dB)"] - 3


def test_the_jmi_protocol_counts_whole_patches_and_gives_its_own_metrics():
    micro = Volume(np.random.default_rng(0).normal(6000, 2500, (2, 70, 100)).astype(np.int16), (0.1, 0.1, 0.1))
    resolver = load_model("bicubic", 2)
    found = compare_by_jmi(micro, resolver, IntensityWindow(0, 15000))
    assert found.facts["patches"] == 2 * 1 * 1
    assert found.protocol.startswith("jmi")
    assert set(found.rows["bicubic"]) == {"PSNR peak 1 (dB)", "SSIM one window"}
    assert compare_by_jmi(micro, resolver, IntensityWindow(0, 15000), patches=1).facts["patches"] == 1
    with pytest.raises(GeometryError, match="smaller than one patch"):
        compare_by_jmi(micro, load_model("bicubic", 8), IntensityWindow(0, 15000))


def test_a_smooth_image_is_recovered_well_under_the_jmi_protocol():
    y, x = np.mgrid[:128, :128]
    smooth = (7500 + 3000 * np.sin(y / 30) * np.cos(x / 25)).astype(np.float32)[None]
    row = compare_by_jmi(Volume(smooth, (1, 1, 1)), load_model("bicubic", 2), IntensityWindow(0, 15000)).rows["bicubic"]
    assert row["PSNR peak 1 (dB)"] > 40
    assert row["SSIM one window"] > 0.999
