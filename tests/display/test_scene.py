"""Volumes in one frame, and how enhanced ones agree with their scan."""

import numpy as np
import pytest

from ctloupe.display.agreement import disagreement, scan_offset
from ctloupe.display.scene import Layer, Scene, with_agreement
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import LazyArray, Volume

OBLIQUE = ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0))


def scan_and_enhanced(scale=4, direction=OBLIQUE):
    values = np.random.default_rng(0).integers(-1000, 0, (4, 10, 12)).astype(np.int16)
    scan = Volume(values, (3.0, 0.8, 0.8), (5.0, 6.0, 7.0), direction, "clinical", "HU")
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, scale)
    fine = values.repeat(scale, 1).repeat(scale, 2)
    return scan, Volume(fine, spacing, origin, direction, "clinical", "HU")


def test_what_repeats_the_scan_agrees_with_it_also_when_only_a_part_was_made():
    scan, fine = scan_and_enhanced()
    part = fine.crop(slice(1, 3), slice(8, 32), slice(4, 44))
    assert scan_offset(scan, fine) == (4, (0, 0, 0))
    assert scan_offset(scan, part) == (4, (1, 2, 1))
    off = disagreement(scan, part)
    assert off.shape == (2, 6, 10) and np.all(off.array() == 0)
    assert off.origin == pytest.approx(scan.crop(slice(1, 3), slice(2, 8), slice(1, 11)).origin)


def test_a_shift_of_the_values_is_told_in_hu():
    scan, fine = scan_and_enhanced()
    off = disagreement(scan, fine.with_data(fine.array() + np.int16(7)))
    assert np.all(off.array() == 7)


def test_a_volume_that_is_no_enhancement_has_no_such_map():
    scan, fine = scan_and_enhanced()
    moved = fine.with_data(fine.data, origin=tuple(np.add(fine.origin, (0.2, 0.0, 0.0))))
    assert scan_offset(scan, moved) is None
    assert scan_offset(scan, fine.with_data(fine.data, spacing=(3.0, 0.21, 0.2))) is None
    assert scan_offset(scan, fine.with_data(fine.data, direction=np.eye(3).tolist())) is None
    assert disagreement(scan, fine.with_data(fine.data, units="raw")) is None
    layers = with_agreement([Layer("scan", "image", scan), Layer("moved", "image", moved), Layer("m", "mask", fine)])
    assert [layer.role for layer in layers] == ["image", "image", "mask"]


def test_a_position_has_the_value_of_every_volume_there():
    scan, fine = scan_and_enhanced()
    scene = Scene(with_agreement([Layer("scan", "image", scan), Layer("fine", "image", fine)]))
    for index in ((0, 0, 0), (3, 9, 11), (2, 4, 5)):
        position = scene.frame.coordinates(scan.physical(index))
        assert scene.values(position.tolist()) == [scan.data[index], scan.data[index], 0.0]
    assert scene.values([1e4, 0.0, 0.0]) == [None, None, None]


def test_a_page_is_told_nothing_of_files_or_history():
    scan, fine = scan_and_enhanced()
    named = scan.with_data(scan.data, "read doe/john", notes=("PATIENT",))
    told = str(Scene((Layer("scan", "image", named), Layer("fine", "image", fine))).described())
    assert "doe" not in told and "PATIENT" not in told and "Research use only" in told


class Half:
    def __init__(self):
        self.count = 1

    def finished(self):
        return frozenset(range(self.count))


def test_slices_that_are_not_written_yet_hold_nothing_until_they_are():
    held = np.zeros((3, 4, 4), np.int16)
    growth = Half()
    volume = Volume(LazyArray(held.shape, held.dtype, lambda block: held[block].copy(), "v"), (1.0, 1.0, 1.0))
    scene = Scene((Layer("growing", "image", volume, growth=growth),))
    assert [one["whole"] for one in scene.finished()] == [False]
    assert np.all(scene.tile(0, 0, 0, 0, 0, 0) == 0) and np.all(scene.tile(0, 0, 0, 1, 0, 0) == -32768)
    held[1] = 5
    growth.count = 3
    assert scene.finished()[0] == {"name": "growing", "count": 3, "of": 3, "whole": True, "version": 3}
    assert np.all(scene.tile(0, 0, 0, 1, 0, 0) == 5)
