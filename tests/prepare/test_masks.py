"""Masks are asked for by kind or by file, and mean the same to every command."""

import numpy as np
import pytest

from ctloupe.foundation.errors import GeometryError, IntensityError, OptionError
from ctloupe.prepare.masks import NAMED, kind_of, mask_of
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

SPACING = (1.0, 0.5, 0.5)


def scan():
    values = np.zeros((4, 20, 24), np.int16)
    values[1:3, 5:12, 6:20] = 1000
    return Volume(values, SPACING)


def test_a_path_is_a_file_and_every_other_kind_has_its_name():
    assert [kind_of(name) for name in NAMED] == list(NAMED)
    assert kind_of("masks/lungs.nii.gz") == "file"


def test_none_is_everything_and_a_box_holds_what_is_bright():
    assert mask_of("none", scan()) is None
    box = mask_of("box", scan())
    assert box.sum() == 2 * 7 * 14 and box[1:3, 5:12, 6:20].all()


def test_lungs_are_looked_for_and_missed():
    with pytest.raises(IntensityError, match="no lung"):
        mask_of("lungs", scan())


def test_a_file_is_read_where_it_is_on_the_grid_of_the_scan(tmp_path):
    given = (scan().array() > 0).astype(np.uint8) * 3
    path = write(Volume(given, SPACING), tmp_path / "mask.nii.gz")
    assert np.array_equal(mask_of(str(path), scan()), given > 0)


@pytest.mark.parametrize(
    "other",
    [
        Volume(np.ones((4, 20, 23), np.uint8), SPACING),
        Volume(np.ones((4, 20, 24), np.uint8), (9.0, 0.5, 0.5)),
        Volume(np.ones((4, 20, 24), np.uint8), SPACING, origin=(500.0, 0.0, 0.0)),
    ],
    ids=["shape", "spacing", "origin"],
)
def test_a_file_on_another_grid_is_refused(tmp_path, other):
    path = write(other, tmp_path / "mask.nii.gz")
    with pytest.raises(GeometryError, match=r"`clinical_mask` .*mask\.nii\.gz: is not on the grid"):
        mask_of(str(path), scan(), "clinical_mask")


def test_a_kind_that_does_not_exist_is_told_those_that_do():
    with pytest.raises(OptionError, match=r"`mask` lugns: neither a kind of mask .*lungs.* nor a file"):
        mask_of("lugns", scan())


def test_what_to_give_instead_of_lungs_is_named_as_the_option_that_asked_for_them():
    nothing = Volume(np.zeros((4, 24, 24), np.int16), (1.0, 1.0, 1.0), units="HU")
    with pytest.raises(IntensityError, match="`clinical_mask` none"):
        mask_of("lungs", nothing, "clinical_mask")
