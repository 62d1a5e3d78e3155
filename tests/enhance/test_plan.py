"""Tiles fit the memory that is given, and what cannot fit is said beforehand."""

import pytest
import torch

from ctloupe.enhance.exact import EngineOptions
from ctloupe.enhance.plan import LARGEST_TENSOR, TILE, Plan, choose_tile, disk_needed, footprint
from ctloupe.foundation.errors import OptionError
from small_enhancers import small_enhancer

CHEST = (500, 512, 512)


def chosen(name, memory, samples=0, scale=8):
    options = EngineOptions(memory=memory)
    return choose_tile(small_enhancer(name, scale), scale, CHEST, torch.bfloat16, samples, options)


def test_less_memory_makes_smaller_tiles_and_never_larger_than_the_default():
    sizes = [chosen("unet", int(gigabytes * 1e9))[0] for gigabytes in (1.3, 2, 8)]
    areas = [height * width for height, width in sizes]
    assert areas == sorted(areas) and areas[-1] <= TILE[0] * TILE[1]


def test_a_tile_holds_no_tensor_that_the_allocator_would_give_back():
    needs = footprint(small_enhancer("unet", 8), 2)
    (height, width), copies = chosen("unet", int(8e9))
    assert height * width * needs.tensor * copies <= LARGEST_TENSOR


def test_passes_share_the_memory_of_a_tile():
    one, _ = chosen("bayes-cyclegan", int(3e9))
    several, copies = chosen("bayes-cyclegan", int(3e9), samples=16)
    assert 1 <= copies <= 4
    assert several[0] * several[1] * copies <= 4 * one[0] * one[1]


def test_the_users_tile_is_taken_as_it_is():
    options = EngineOptions(tile=40)
    assert choose_tile(small_enhancer("srgan", 2), 2, CHEST, torch.bfloat16, 0, options)[0] == (40, 40)


def test_a_network_that_cannot_be_cut_is_refused_when_a_slice_does_not_fit():
    with pytest.raises(OptionError, match=r"whole slice at once \(mean\).*`roi`"):
        chosen("pseudo-sr", int(1e9))


def test_the_disk_counts_every_level():
    one = disk_needed((10, 64, 64), 0, False)
    assert disk_needed((10, 64, 64), 2, False) == pytest.approx(one * (1 + 1 / 4 + 1 / 16))
    assert disk_needed((10, 64, 64), 0, True) == pytest.approx(3 * one)


@pytest.mark.parametrize(("seconds", "words"), [(5.0, "about 5 s"), (600.0, "about 10 min"), (9000, "about 2.5 h")])
def test_a_plan_is_said_in_words(seconds, words):
    lines = Plan(4, (4, 80, 96), 2, (16, 16), 1.2e9, 5e8, seconds).lines()
    assert lines[0] == "plan: 4 slices to 96×80 pixels, 2 at a time, tiles of 16×16 scan voxels"
    assert lines[1] == f"plan: memory about 1.2 GB, disk up to 0.50 GB, time {words}"
