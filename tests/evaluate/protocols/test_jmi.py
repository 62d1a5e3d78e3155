"""µCT shrunk and enhanced again."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.protocols.jmi import compare_by_jmi, shrink_cubic
from ctloupe.foundation.errors import GeometryError
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_shrinking_samples_the_coarse_voxel_centres_without_antialiasing(scale):
    image = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)
    at = [(np.arange(n // scale) + 0.5) * scale - 0.5 for n in image.shape]
    oracle = map_coordinates(image, np.meshgrid(*at, indexing="ij"), order=3, mode="nearest")
    assert np.abs(shrink_cubic(image, scale) - oracle)[2:-2, 2:-2].max() < 1e-3


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
