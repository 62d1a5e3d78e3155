"""How a plane differs from its slice, as a scanner would see both."""

import numpy as np
import pytest

from ctloupe.scanner.anatomy import BLURS
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.scanner import Scanner
from ctloupe.scanner.thin_plane import thin_plane_power
from ctloupe.scanner.tile_power import TilePower


def test_it_is_the_power_of_their_difference_behind_the_point_spread_and_the_voxel():
    random = np.random.default_rng(0)
    middle, averaged = random.normal(size=(2, 3, 64, 64)).astype(np.float32)
    found = thin_plane_power(middle, averaged, 4)
    for row in (0, 10):
        operator = ScannerOperator(Scanner((1.0, 4.0, 4.0), 4.0 * BLURS[row]), (1.0, 1.0, 1.0))
        expected = TilePower()
        for plane in operator.forward(middle - averaged):
            expected.add(plane, None)
        assert found[row] == pytest.approx(expected.result(), rel=1e-3)
