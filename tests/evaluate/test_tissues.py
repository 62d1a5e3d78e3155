"""Errors by tissue."""

from dataclasses import replace

import numpy as np
import pytest

from ctloupe.evaluate.tissues import tissue_errors
from ctloupe.foundation.errors import GeometryError
from ctloupe.volume.volume import Volume


def test_errors_by_tissue_are_those_of_its_voxels():
    truth = Volume(np.array([[[-1000.0, -800.0, 40.0, 40.0]]]), (1, 1, 1), units="HU")
    labels = Volume(np.array([[[2, 1, 4, 4]]], np.uint8), (1, 1, 1))
    made = Volume(np.array([[[-990.0, -800.0, 30.0, 60.0]]]), (1, 1, 1), units="HU")
    found = tissue_errors({"x": made}, truth, labels, {1: "parenchyma", 2: "lumen", 4: "artery", 7: "nodule"})
    assert list(found) == ["parenchyma", "lumen", "artery"]
    assert found["lumen"].bias_hu["x"] == pytest.approx(10)
    artery = found["artery"]
    assert (artery.voxels, artery.truth_hu) == (2, 40)
    assert (artery.bias_hu["x"], artery.mae_hu["x"]) == pytest.approx((5, 15))


@pytest.mark.parametrize("elsewhere", [{"origin": (5, 0, 0)}, {"spacing": (1, 2, 2)}, {"data": np.zeros((1, 1, 3))}])
def test_labels_that_lie_elsewhere_in_space_are_refused(elsewhere):
    truth = Volume(np.zeros((1, 1, 4)), (1, 1, 1), units="HU")
    labels = replace(Volume(np.zeros((1, 1, 4), np.uint8), (1, 1, 1)), **elsewhere)
    with pytest.raises(GeometryError, match="`labels`"):
        tissue_errors({"x": truth}, truth, labels, {0: "air"})
