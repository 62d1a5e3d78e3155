"""The µCT: its own contrast, the same grid, and a specimen in a cylinder."""

import numpy as np
import pytest

from ctloupe.phantom.anatomies.lung import LUNG, LungLabel, lung_anatomy
from ctloupe.phantom.micro import AIR_HU, MICRO_AIR, MICRO_PLASTIC, MicroContrast, micro_scan
from ctloupe.volume.volume import Volume


def fine(values, **place):
    return Volume(values, (0.1, 0.1, 0.1), units="HU", **place)


def test_the_micro_scan_has_its_own_contrast_and_the_same_grid():
    anatomy = lung_anatomy((8, 128, 128), 6)
    truth = fine(anatomy.hu)
    scan = micro_scan(truth, anatomy.labels, LUNG.micro, seed=1)
    assert (scan.modality, scan.units, scan.shape, scan.origin) == ("micro", "raw", truth.shape, truth.origin)
    assert np.array_equal(scan.data, micro_scan(truth, anatomy.labels, LUNG.micro, seed=1).data)
    lumen, blood = (np.median(scan.data[anatomy.labels == one]) for one in (LungLabel.AIRWAY_LUMEN, LungLabel.ARTERY))
    assert lumen == pytest.approx(2500, rel=0.4)
    assert blood == pytest.approx(12500, rel=0.1)


def test_in_a_cylinder_there_is_air_around_the_specimen_and_plastic_around_the_air():
    anatomy = lung_anatomy((8, 128, 128), 6)
    scan = micro_scan(fine(anatomy.hu), anatomy.labels, LUNG.micro, cylinder=True, noise=50, rings=0)
    y, x = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128), indexing="ij")
    radius = np.hypot(y, x)
    assert np.median(scan.data[:, (radius > 0.91) & (radius < 0.94)]) == pytest.approx(MICRO_PLASTIC, rel=0.05)
    assert np.median(scan.data[:, radius > 0.99]) == pytest.approx(MICRO_AIR, rel=0.05)


def test_raw_values_are_a_line_through_air_and_stained_tissue_lies_above_it():
    hu = np.full((1, 65, 65), 0, np.int16)
    labels = np.ones(hu.shape, np.uint8)
    labels[:, :, 33:] = 9
    found = micro_scan(fine(hu), labels, MicroContrast(gain=4.0, stained={9: 1.5}), noise=0, rings=0).array()
    plain = MICRO_AIR - 4.0 * AIR_HU
    assert found[0, 0, 5] == pytest.approx(plain, rel=0.001)
    assert found[0, 0, -5] == pytest.approx(1.5 * plain, rel=0.001)
