"""Blur from the edges of a scan, on a made-up body whose scanner is known."""

import numpy as np
import pytest

from ctloupe.scanner.edges import blur_from_edges
from ctloupe.scanner.noise import exact_noise
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.volume import Volume


@pytest.fixture(scope="module")
def body():
    """An elliptic body of soft tissue in air, two slices at 0.2 mm."""
    y, x = np.mgrid[:520, :520]
    inside = ((y - 260) / 210) ** 2 + ((x - 260) / 235) ** 2 < 1
    return np.stack([np.where(inside, 40, -1000)] * 2).astype(np.int16)


def scanned(body, kernel, noise):
    scanner = Scanner.with_kernel(kernel, (1.0, 0.8, 0.8), noise)
    image = ScannerOperator(scanner, (1.0, 0.2, 0.2)).forward(body)
    image += exact_noise(image.shape, noise, scanner.spectrum, np.random.default_rng(1))
    return Volume(image, (1.0, 0.8, 0.8), units="HU"), scanner


@pytest.mark.parametrize("kernel", ["smooth", "standard", "sharp"])
def test_the_blur_of_a_known_scanner_is_found_at_the_skin(body, kernel):
    scan, scanner = scanned(body, kernel, 20.0)
    found = blur_from_edges(scan)
    assert found.count >= 20
    assert found.blur == pytest.approx(scanner.blur, abs=0.06)
    assert found.blur <= found.median


def test_without_clean_edges_nothing_is_said():
    noise = np.random.default_rng(0).normal(-800, 100, (2, 64, 64)).astype(np.float32)
    assert blur_from_edges(Volume(noise, (1.0, 0.8, 0.8), units="HU")) is None
