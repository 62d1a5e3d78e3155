"""Consistency with the scan."""

import numpy as np
import pytest
from skimage.measure import block_reduce

from ctloupe.evaluate.metrics.consistency import consistency, consistency_map
from ctloupe.scanner.voxel import block_mean
from ctloupe.volume.volume import LazyArray


def scan(shape=(3, 5, 6)):
    return np.random.default_rng(0).normal(-700, 200, shape).round().astype(np.int16)


def enlarged(image, scale):
    return image.repeat(scale, -1).repeat(scale, -2)


def test_block_mean_agrees_with_scikit_image():
    image = np.random.default_rng(1).normal(size=(12, 20)).astype(np.float32)
    assert np.allclose(block_mean(image, 4), block_reduce(image, (4, 4), np.mean), atol=1e-6)
    with pytest.raises(ValueError, match="blocks"):
        block_mean(image, 5)


def test_repeated_pixels_are_perfectly_consistent():
    found = consistency(enlarged(scan(), 4), scan(), scale=4)
    assert (found.rms_hu, found.bias_hu) == (0, 0)


def test_texture_of_zero_mean_in_each_block_is_consistent():
    texture = np.tile([[100, -100], [-100, 100]], (5, 6))
    assert consistency(enlarged(scan(), 2) + texture[None], scan(), scale=2).rms_hu == pytest.approx(0, abs=1e-3)


def test_a_known_offset_is_bias_and_rms():
    fine = enlarged(scan(), 2).astype(np.float32) + 7
    found = consistency(fine, scan(), scale=2)
    assert (found.rms_hu, found.bias_hu) == pytest.approx((7, 7), abs=1e-3)
    fine[0] -= 14
    found = consistency(fine, scan(), scale=2)
    assert (found.rms_hu, found.bias_hu) == pytest.approx((7, 7 / 3), abs=1e-3)


def test_only_the_mask_counts():
    fine = enlarged(scan(), 2).astype(np.float32)
    fine[:, :, 6:] += 500
    mask = np.zeros(scan().shape, bool)
    mask[:, :, :3] = True
    assert consistency(fine, scan(), scale=2, mask=mask).rms_hu == 0
    assert consistency(fine, scan(), scale=2, mask=~mask).rms_hu == pytest.approx(500)
    with pytest.raises(ValueError, match="empty"):
        consistency(fine, scan(), scale=2, mask=np.zeros_like(mask))


def test_the_map_is_in_hu_on_the_grid_of_the_scan():
    fine = enlarged(scan()[0], 2).astype(np.float32)
    fine[:2, :2] += 3
    found = consistency_map(fine, scan()[0], scale=2)
    assert found[0, 0] == pytest.approx(3)
    assert np.abs(found).sum() == pytest.approx(3)


def test_a_lazily_read_volume_is_read_one_slice_at_a_time():
    fine, read = enlarged(scan(), 2), []

    def reader(block):
        read.append(block[0].stop - block[0].start)
        return fine[block]

    consistency(LazyArray(fine.shape, np.int16, reader, "fine"), scan(), scale=2)
    assert read == [1, 1, 1]


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="2 times"):
        consistency(enlarged(scan(), 2)[:, :-2], scan(), scale=2)
