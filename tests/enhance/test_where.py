"""A model is used inside the kind of mask that it was trained in, unless a person asks for another."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from ctloupe.enhance.blending import Blend
from ctloupe.enhance.where import blends_outside, mask_to_enhance, resolved_mask
from ctloupe.foundation.errors import OptionError
from ctloupe.networks.tile import Tile
from ctloupe.prepare.lungs import lung_mask
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume


@pytest.mark.parametrize(
    ("asked", "trained", "meant"),
    [
        ("auto", "lungs", "lungs"),
        ("auto", "box", "box"),
        ("auto", "none", "none"),
        ("auto", None, "none"),
        ("lungs", "box", "lungs"),
        ("none", "file", "none"),
        ("mine.nii.gz", "lungs", "mine.nii.gz"),
    ],
)
def test_auto_is_the_kind_of_mask_that_the_model_was_trained_with(asked, trained, meant):
    assert resolved_mask(asked, trained) == meant


def test_a_model_trained_inside_mask_files_wants_to_be_given_one():
    with pytest.raises(OptionError, match=r"`mask` auto: .* trained inside mask files; give `mask` FILE"):
        resolved_mask("auto", "file")


def thorax():
    """Two lungs in a body of tissue, in HU."""
    z, y, x = np.meshgrid(np.arange(12), np.arange(90), np.arange(120), indexing="ij")
    hu = np.random.default_rng(0).normal(40, 15, z.shape)
    hu[((y - 45) / 42) ** 2 + ((x - 60) / 57) ** 2 > 1] = -1000
    for middle in (33, 87):
        hu[((y - 45) / 28) ** 2 + ((x - middle) / 20) ** 2 < 1] -= 890
    return Volume(hu.astype(np.int16), (4.0, 1.6, 1.6), units="HU")


def test_lungs_are_enhanced_fully_and_the_blend_lies_outside_of_them():
    scan = thorax()
    lungs, inside = lung_mask(scan)[6], mask_to_enhance("lungs", scan)[6]
    blend = Blend(inside, scan.spacing[1:], 4.0, outside=blends_outside("lungs"))
    weight = blend.weight(Tile((0, 90), (0, 120), 90, 120), 4).numpy()
    assert (weight[lungs.repeat(4, 0).repeat(4, 1)] == 1).all()
    far = distance_transform_edt(~lungs, sampling=1.6) > 4.0 + 2 * 1.6
    assert not weight[far.repeat(4, 0).repeat(4, 1)].any()


def test_outside_of_a_mask_file_nothing_is_touched(tmp_path):
    scan = Volume(np.full((2, 12, 14), -800, np.int16), (1.0, 0.8, 0.8), units="HU")
    given = np.zeros(scan.shape, np.uint8)
    given[:, 3:9, 4:12] = 1
    path = write(scan.with_data(given), tmp_path / "mask.nii.gz")
    assert np.array_equal(mask_to_enhance(str(path), scan), given != 0)
    assert not blends_outside(str(path))
    assert mask_to_enhance("none", scan) is None
