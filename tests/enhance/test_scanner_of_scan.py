"""A network that is told the scanner is told that of the scan, and people are told what was found."""

import numpy as np
import pytest
import torch

from ctloupe import methods
from ctloupe.enhance.scanner_of_scan import told_the_scanner
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.flow.network import SCANNER_NUMBERS
from ctloupe.scanner.anatomy import AnatomySpectra
from ctloupe.scanner.tensor_draw import DrawnScanners
from ctloupe.volume.volume import Volume
from textured_islands import textured_islands

WINDOW = IntensityWindow(-1000, 500)
SCAN = Volume(np.full((2, 40, 40), -800, np.int16), (0.6, 0.6, 0.6), modality="clinical")


@pytest.fixture(scope="module")
def anatomy():
    return torch.from_numpy(textured_islands(96, 3, 128))[:, None]


@pytest.fixture(scope="module")
def network(anatomy):
    kind = methods.get("physics-flow")
    made = kind.make_enhancer(kind.configure("tiny", {"scale": 4, "width": 8, "fine_width": 4, "condition": 8}))
    made.anatomy.copy_(torch.from_numpy(AnatomySpectra.of(anatomy[:, 0].numpy(), 4).power))
    return made


def numbers(made):
    return dict(zip(SCANNER_NUMBERS, made.scanner.tolist(), strict=True))


@pytest.mark.parametrize(("blur", "noise"), [(0.4, 0.03), (0.7, 0.02)])
def test_a_known_scanner_is_found(network, anatomy, blur, noise):
    made = DrawnScanners(*(torch.full((96,), one) for one in (blur, noise, 1.0, 0.3)))
    lines = []
    told = told_the_scanner(network, made.scanned(anatomy, 4), SCAN, WINDOW, 0, lines.append)
    found = numbers(told)
    assert found["blur"] == pytest.approx(blur, abs=0.2) and found["noise"] == pytest.approx(noise, rel=0.35)
    assert f"blur {found['blur']:.2f} voxels, noise {750 * found['noise']:.0f} HU" in lines[0]
    assert "too few clean edges" in lines[-1]
    assert numbers(network) != found


def test_patches_of_air_whose_noise_is_cut_off_do_not_hide_the_noise(network, anatomy):
    made = DrawnScanners(*(torch.full((96,), one) for one in (0.4, 0.05, 1.0, 0.3)))
    scanned = made.scanned(anatomy, 4)
    scanned[::2] = -1
    found = numbers(told_the_scanner(network, scanned, SCAN, WINDOW, 0, lambda line: None))
    assert found["noise"] == pytest.approx(0.05, rel=0.35)


def test_where_nothing_can_be_found_the_scanner_is_that_of_the_training_and_it_is_said(network):
    lines = []
    told = told_the_scanner(network, torch.zeros(8, 1, 32, 32), SCAN, WINDOW, 0, lines.append)
    assert numbers(told) == numbers(network)
    assert "without contrast" in lines[0] and "that of the training data" in lines[0]
