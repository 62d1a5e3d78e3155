"""Places worth looking at, and pictures of them."""

import numpy as np
import pytest
from PIL import Image

from ctloupe.display.place import box_of, in_plane, telling_region
from ctloupe.display.scene import Layer, Scene, with_agreement
from ctloupe.display.shot import write_shot
from ctloupe.foundation.errors import FileError
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import Volume

WINDOW = (-1000.0, 200.0)
EVERYWHERE = (slice(0, 3), slice(0, 96), slice(0, 96))


def scan_with_detail_at(y, x):
    values = np.full((3, 96, 96), -900, np.int16)
    values[:, y : y + 16, x : x + 16] += np.random.default_rng(0).integers(0, 500, (16, 16)).astype(np.int16)
    return Volume(values, (2.0, 0.7, 0.7), (1.0, 2.0, 3.0), modality="clinical", units="HU")


def test_the_square_lies_where_the_scan_varies_and_inside_the_mask():
    scan = scan_with_detail_at(60, 8)
    z, y, x = telling_region(scan, WINDOW, EVERYWHERE, None, 32)
    assert z == slice(1, 2) and y.start <= 60 < 76 <= y.stop and x.start <= 8 < 24 <= x.stop
    mask = np.zeros(scan.shape, bool)
    mask[2, :40, 50:] = True
    z, y, x = telling_region(scan, WINDOW, EVERYWHERE, mask, 32)
    assert z == slice(2, 3) and mask[2, y, x].mean() >= 0.6
    small = telling_region(scan, WINDOW, (slice(0, 1), slice(4, 10), slice(90, 96)), None, 32)
    assert small == (slice(0, 1), slice(4, 10), slice(90, 96))


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, -1.0, 1.0]), np.eye(3)[[2, 0, 1]]])
def test_a_region_is_a_box_of_its_outer_faces(direction):
    scan = scan_with_detail_at(0, 0).with_data(scan_with_detail_at(0, 0).data, direction=direction.tolist())
    scene = Scene((Layer("scan", "image", scan),))
    box = box_of(scene, (slice(0, 1), slice(10, 20), slice(30, 70)))
    assert sorted(np.subtract(box.high, box.low)) == pytest.approx(sorted((2.0, 7.0, 28.0)))
    lengths = sorted(high - low for low, high in in_plane(box))
    assert lengths == pytest.approx([7.0, 28.0]), "down and across the slices"


def test_the_picture_holds_the_voxels_in_the_window_and_is_not_replaced_unasked(tmp_path):
    scan = scan_with_detail_at(40, 40)
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, 2)
    fine = Volume(scan.array().repeat(2, 1).repeat(2, 2), spacing, origin, units="HU", modality="clinical")
    scene = Scene(with_agreement([Layer("scan", "image", scan), Layer("enhanced", "image", fine)]))
    box = box_of(scene, (slice(1, 2), slice(32, 64), slice(32, 64)))
    write_shot(scene, box, WINDOW, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert not picture.info.keys() & {"Author", "Title", "Comment"}
        shown = np.asarray(picture.convert("L"))
    grey = round(255 * (-900 + 1000) / 1200)
    assert (np.abs(shown.astype(int) - grey) <= 1).mean() > 0.2, "the lung of scan and enhanced volume"
    with pytest.raises(FileError, match="exists already"):
        write_shot(scene, box, WINDOW, tmp_path / "a.png")
