"""Winograd's convolution gives what the direct one does, wherever this build of PyTorch has it."""

import pytest
import torch

from ctloupe.enhance.network import winograd
from ctloupe.enhance.network.fast_rewrite import rewritten
from ctloupe.networks.plain import PlainBlock

WIDTH = winograd.FEWEST_CHANNELS


@pytest.fixture
def block():
    torch.manual_seed(0)
    return PlainBlock(WIDTH, 0.5).eval().requires_grad_(False)


def features(seed=1):
    return torch.rand(1, WIDTH, 21, 34, generator=torch.Generator().manual_seed(seed)) - 0.5


@pytest.mark.skipif(not winograd._works(), reason="this build of PyTorch has no NNPACK")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_block_is_the_plain_one_and_leaves_its_input(block, layout, monkeypatch):
    monkeypatch.setattr(winograd, "PAYS", True)
    fast, image = rewritten(block, torch.float32), features().contiguous(memory_format=layout)
    kept = image.clone()
    assert isinstance(fast, winograd.WinogradResidual)
    assert (fast(image) - block(image)).abs().max() < 2e-5
    assert torch.equal(image, kept)


@pytest.mark.skipif(not winograd._works(), reason="this build of PyTorch has no NNPACK")
def test_blocks_in_a_row_write_into_what_the_one_before_made(block, monkeypatch):
    monkeypatch.setattr(winograd, "PAYS", True)
    row = torch.nn.Sequential(block, block)
    fast, image = rewritten(row, torch.float32), features()
    assert [one.in_place for one in fast] == [False, True]
    assert (fast(image) - row(image)).abs().max() < 2e-5


def test_it_is_left_where_it_does_not_pay(block, monkeypatch):
    monkeypatch.setattr(winograd, "PAYS", False)
    assert not isinstance(rewritten(block, torch.float32), winograd.WinogradResidual)


def test_half_precision_and_narrow_or_reflecting_layers_are_convolved_directly(monkeypatch):
    monkeypatch.setattr(winograd, "PAYS", True)
    wide = torch.nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
    assert winograd.suits(wide, torch.float32)
    assert not winograd.suits(wide, torch.bfloat16)
    assert not winograd.suits(torch.nn.Conv2d(WIDTH, WIDTH // 2, 3, padding=1), torch.float32)
    assert not winograd.suits(torch.nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="reflect"), torch.float32)
