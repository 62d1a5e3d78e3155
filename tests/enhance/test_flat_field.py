"""The mesh that a network draws into flat images is found and taken off, and nothing else is."""

import numpy as np
import pytest
import torch

from ctloupe.enhance.flat_field import FlatField
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.foundation.errors import OptionError
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.volume.volume import Volume

SCALE = 4


class Meshed(torch.nn.Module):
    """Bicubic interpolation with a pattern that repeats with the voxels and grows with the value."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.pattern = torch.nn.Parameter(0.05 * torch.randn(1, SCALE**2, 1, 1), requires_grad=False)

    def forward(self, image):
        by_place = (image + 1.5) * (self.pattern - self.pattern.mean())
        return enlarge_bicubic(image, SCALE) + torch.nn.functional.pixel_shuffle(by_place, SCALE)


def enhanced(values, **options):
    scan = Volume(values.astype(np.int16), (0.6, 0.6, 0.6), modality="clinical")
    model = LoadedModel("meshed", Meshed().eval(), SCALE)
    return SuperResolver(model, EnhanceOptions.of({"precision": "float32"} | options)).enhance(scan).data


def bicubic(values):
    scan = Volume(values.astype(np.int16), (0.6, 0.6, 0.6), modality="clinical")
    return SuperResolver(LoadedModel("bicubic", None, SCALE)).enhance(scan).data


def test_a_mesh_that_depends_on_the_value_alone_is_gone():
    values = np.random.default_rng(0).normal(-700, 120, (1, 30, 33)).clip(-1000, 500)
    plain = bicubic(values)
    assert np.abs(enhanced(values).astype(int) - plain).max() > 20
    mended = enhanced(values, flat_field="on").astype(int).clip(values.min(), values.max())
    assert np.abs(mended - plain).max() <= 1


def test_it_is_the_same_in_whatever_tiles():
    values = np.random.default_rng(1).normal(-700, 120, (1, 40, 44))
    whole, cut = (enhanced(values, flat_field="on", tile=side) for side in (64, 8))
    assert np.abs(whole.astype(int) - cut).max() <= 1


def test_a_network_without_a_mesh_is_left_alone():
    found = FlatField.of(lambda image: enlarge_bicubic(image, SCALE), SCALE, 4, torch.device("cpu"))
    assert found.table.abs().max() < 1e-5
    assert found.mesh(torch.rand(5, 6) * 2 - 1).shape == (20, 24)


def test_it_is_off_unless_asked_for_and_belongs_to_calibrated_statistics():
    values = np.full((1, 16, 16), -500.0)
    assert np.array_equal(enhanced(values), enhanced(values, flat_field="off"))
    assert enhanced(values, flat_field="on").std() < 1 < enhanced(values).std()
    with pytest.raises(OptionError, match="`flat_field` on belongs to `stitch` calibrated"):
        EnhanceOptions.of({"flat_field": "on", "stitch": "patches"})


def test_taking_it_off_in_place_is_to_subtract_it():
    torch.manual_seed(2)
    found = FlatField(torch.randn(41, SCALE**2), SCALE)
    image, plane = torch.rand(5, 6) * 3 - 1.5, torch.randn(5 * SCALE, 9 * SCALE)[:, SCALE:-SCALE][:, : 6 * SCALE]
    expected = plane - found.mesh(image) * 400
    found.take_off(plane, image, 400)
    torch.testing.assert_close(plane, expected, rtol=0, atol=0)
