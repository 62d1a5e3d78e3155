"""Tiles fit the memory that is given, and what cannot fit is said beforehand."""

import os

import pytest
import torch

from ctloupe.enhance import tiling
from ctloupe.enhance.network.footprint import Footprint
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.tiling import LARGEST_TENSOR, TILE, choose_tiling
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.memory import Memory
from small_enhancers import small_enhancer

CHEST = (500, 512, 512)


def chosen(name, memory, samples=0, scale=8):
    options = EnhanceOptions(memory=memory, samples=samples)
    return choose_tiling(small_enhancer(name, scale), scale, CHEST, torch.bfloat16, options)


def test_less_memory_makes_smaller_tiles_and_never_larger_than_the_default():
    sizes = [chosen("unet", int(gigabytes * 1e9)).tile for gigabytes in (1.3, 2, 8)]
    areas = [height * width for height, width in sizes]
    assert areas == sorted(areas) and areas[-1] <= TILE[0] * TILE[1]


def test_a_tile_holds_no_tensor_that_the_allocator_would_give_back():
    needs = Footprint.of(small_enhancer("unet", 8), 2)
    made = chosen("unet", int(8e9))
    assert made.tile[0] * made.tile[1] * needs.tensor * made.copies <= LARGEST_TENSOR


def test_passes_share_the_memory_of_a_tile():
    one = chosen("bayes-cyclegan", int(3e9))
    several = chosen("bayes-cyclegan", int(3e9), samples=16)
    assert 1 <= several.copies <= 4
    assert several.tile[0] * several.tile[1] * several.copies <= 4 * one.tile[0] * one.tile[1]


def test_the_users_tile_is_taken_as_it_is():
    options = EnhanceOptions(tile=40)
    assert choose_tiling(small_enhancer("srgan", 2), 2, CHEST, torch.bfloat16, options).tile == (40, 40)


def test_a_network_that_cannot_be_cut_is_refused_when_a_slice_does_not_fit():
    with pytest.raises(OptionError, match=r"whole slice at once \(mean\).*`roi`"):
        chosen("pseudo-sr", int(1e9))


def test_memory_that_the_system_would_give_up_for_the_asking_counts_as_available(monkeypatch):
    gigabytes = {"available": 8}
    monkeypatch.setattr(tiling, "memory", lambda: Memory(total=int(16e9), available=int(gigabytes["available"] * 1e9)))
    # Pages that are free are few on a machine that has read files; they say nothing.
    monkeypatch.setattr(os, "sysconf", lambda name: 4096 if name == "SC_PAGE_SIZE" else 1)
    assert tiling.memory_allowed(EnhanceOptions()) == tiling.DEFAULT_MEMORY
    gigabytes["available"] = 2
    assert tiling.memory_allowed(EnhanceOptions()) == pytest.approx(1.5e9)
    assert tiling.memory_allowed(EnhanceOptions(memory=int(5e9))) == 5e9


def test_what_a_container_leaves_is_never_exceeded(monkeypatch):
    monkeypatch.setattr(tiling, "memory", lambda: Memory(total=int(1e9), available=int(4e8)))
    assert tiling.memory_allowed(EnhanceOptions()) == 3e8
