"""Where an enhanced volume lies says which part of its scan it shows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.part import part_shown
from ctloupe.volume.formats import read, write
from ctloupe.volume.geometry import as_direction, refined_grid
from ctloupe.volume.volume import Volume

TILTED = as_direction(Rotation.from_euler("zyx", [20, -35, 50], degrees=True).as_matrix())
SCAN = Volume(
    np.zeros((5, 14, 11), np.int16), (2.5, 0.7, 0.7), (-101.3, 55.7, 12.9), TILTED, modality="clinical", units="HU"
)


def ranges(length):
    return st.tuples(st.integers(0, length - 1), st.integers(1, length)).map(
        lambda pair: slice(pair[0], min(length, pair[0] + pair[1]))
    )


@given(st.tuples(*map(ranges, SCAN.shape)), st.sampled_from([2, 8]))
def test_a_part_is_found_again(region, scale):
    part = SCAN.crop(*region)
    spacing, origin = refined_grid(part.spacing, part.origin, part.direction, scale)
    z, y, x = part.shape
    assert part_shown(SCAN, Volume(np.zeros((z, y * scale, x * scale), np.int16), spacing, origin, TILTED)) == region


def test_a_part_is_found_again_from_its_file(tmp_path):
    region = (slice(1, 3), slice(4, 12), slice(2, 9))
    fine = load_model("bicubic", 4).enhance(SCAN, region=region)
    assert part_shown(SCAN, read(write(fine, tmp_path / "part.nii.gz"))) == region


def test_a_volume_between_the_voxels_of_the_scan_is_no_part_of_it():
    fine = load_model("bicubic", 2).enhance(SCAN, region=(slice(0, 2), slice(0, 4), slice(0, 4)))
    moved = Volume(fine.data, fine.spacing, tuple(np.add(fine.origin, 0.3)), fine.direction)
    assert part_shown(SCAN, moved) is None


def test_a_volume_beside_the_scan_is_no_part_of_it():
    other = Volume(np.zeros((2, 28, 22), np.int16), (2.5, 0.35, 0.35), (900.0, 0.0, 0.0), TILTED)
    assert part_shown(SCAN, other) is None
