"""Smooth tissue laid into patches: of one value, in the share of patches asked for, with borders of one pixel."""

import pytest
import torch

from ctloupe.methods.smooth_tissue import SmoothTissue


@pytest.fixture(scope="module")
def drawn():
    torch.manual_seed(0)
    return SmoothTissue.draw(torch.zeros(400, 1, 32, 32), 0.5)


def test_a_share_of_the_patches_gets_it_and_the_others_stay(drawn):
    images = torch.rand(400, 1, 32, 32) - 0.5
    changed = (drawn.laid_into(images) != images).flatten(1).any(1)
    # Some of those that are chosen lie wholly on the other side of the level.
    assert 0.3 < changed.float().mean() < 0.5


def test_inside_it_has_one_value_and_outside_the_image_is_kept(drawn):
    images = torch.rand(400, 1, 32, 32) - 0.5
    laid = drawn.laid_into(images)
    inside, outside = drawn.share == 1, drawn.share == 0
    assert torch.allclose(laid[inside], drawn.value.expand_as(laid)[inside])
    assert torch.equal(laid[outside], images[outside])
    assert drawn.value.min() < -0.9 and drawn.value.max() > 0.9


def test_its_border_is_a_pixel_wide(drawn):
    partly = ((drawn.share > 0) & (drawn.share < 1)).float().mean()
    wholly = (drawn.share == 1).float().mean()
    assert 0 < partly < 0.25 * wholly


def test_every_channel_gets_the_same():
    torch.manual_seed(1)
    tissue = SmoothTissue.draw(torch.zeros(4, 1, 16, 16), 1.0)
    beside = tissue.laid_into(torch.zeros(4, 2, 16, 16))
    assert torch.equal(beside[:, 0], beside[:, 1])


def test_without_any_nothing_changes():
    images = torch.rand(3, 1, 16, 16)
    assert torch.equal(SmoothTissue.draw(images, 0.0).laid_into(images), images)
