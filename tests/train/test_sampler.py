"""Unpaired patches: every one shown once a pass, the same for the same seed, shared out over ranks."""

from itertools import chain

import numpy as np
import pytest
import torch

from ctloupe.foundation.errors import OptionError
from ctloupe.train.sampler import DeviceBank, UnpairedSampler


def sampler(clinical=10, micro=7, batch=3, flips=False, seed=0, stored=6):
    def bank(count, size):
        numbers = torch.arange(count, dtype=torch.int16).view(-1, 1, 1) * 10
        return DeviceBank(numbers.expand(count, size, size).contiguous(), 1e-3, 0.0)

    return UnpairedSampler(bank(clinical, stored), bank(micro, 2 * stored), 6, 2, batch, seed, flips)


def shown(images):
    return (images[:, 0, 0, 0] * 100).round().int().tolist()


def test_every_patch_is_shown_once_a_pass():
    source = sampler(clinical=9, micro=6, batch=3)
    assert source.steps_per_epoch == 3
    clinical = list(chain.from_iterable(shown(source.batch(step).clinical) for step in range(3)))
    assert sorted(clinical) == list(range(9))
    micro = list(chain.from_iterable(shown(source.batch(step).micro) for step in range(4)))
    assert sorted(micro[:6]) == sorted(micro[6:]) == list(range(6))
    assert micro[:6] != micro[6:]


def test_passes_of_banks_that_do_not_divide_the_batch_still_show_everything():
    source = sampler(clinical=10, micro=7, batch=3)
    micro = list(chain.from_iterable(shown(source.batch(step).micro) for step in range(7)))
    for start in (0, 7, 14):
        assert sorted(micro[start : start + 7]) == list(range(7))


def test_a_batch_is_a_function_of_seed_and_step():
    one, other = sampler(flips=True), sampler(flips=True)
    for step in (5, 0, 3, 5):
        assert torch.equal(one.batch(step).micro, other.batch(step).micro)
    assert not torch.equal(sampler(seed=1).batch(0).clinical, one.batch(0).clinical)


def test_ranks_share_out_the_global_batch():
    source = sampler(batch=4, flips=True)
    whole = source.batch(2)
    parts = [source.batch(2, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.cat([part.clinical for part in parts]), whole.clinical)
    assert torch.equal(torch.cat([part.micro for part in parts]), whole.micro)
    assert [part.position for part in parts] == [8, 10]


def test_larger_stored_patches_are_cut_and_flips_keep_the_values():
    random = torch.Generator().manual_seed(0)
    stored = torch.randint(-900, 900, (4, 9, 9), generator=random, dtype=torch.int16)
    bank = DeviceBank(stored, 1e-3, 0.0)
    big = DeviceBank(stored.repeat_interleave(2, 1).repeat_interleave(2, 2), 1e-3, 0.0)
    source = UnpairedSampler(bank, big, 9, 2, 4, 0, flips=True)
    batch = source.batch(0)
    assert batch.clinical.shape == (4, 1, 9, 9)
    found = {tuple(sorted(image.flatten().mul(1000).round().int().tolist())) for image in batch.clinical}
    assert found == {tuple(sorted(image.flatten().tolist())) for image in stored}
    cut = UnpairedSampler(bank, big, 5, 2, 4, 0).batch(1)
    assert cut.clinical.shape == (4, 1, 5, 5)
    assert cut.micro.shape == (4, 1, 10, 10)


def test_stored_integers_become_the_unit_range_and_are_clipped():
    stored = torch.tensor([-2000, -1000, 0, 1000, 3000], dtype=torch.int16).view(-1, 1, 1)
    bank = DeviceBank(stored, 2 / 2000, 0.0)
    unit = bank.unit(torch.arange(5), 1, torch.zeros(5, 2))
    assert np.allclose(unit.flatten(), [-1, -1, 0, 1, 1])


def test_a_bank_of_smaller_patches_is_refused_with_what_to_do():
    with pytest.raises(OptionError, match=r"patches of 4 pixels, the method needs 6.*prepare"):
        sampler(stored=4)


@pytest.mark.parametrize("flips", [False, True])
def test_thick_patches_come_with_the_same_places_cuts_and_flips(flips):
    random = torch.Generator().manual_seed(0)
    thin = torch.randint(0, 500, (5, 16, 16), generator=random, dtype=torch.int16)
    clinical = DeviceBank(torch.zeros(5, 8, 8, dtype=torch.int16), 1e-3, 0.0)
    micro = DeviceBank(thin, 1e-3, 0.0, slice_averages=thin + 100)
    source = UnpairedSampler(clinical, micro, 6, 2, 3, 0, flips)
    for step in range(4):
        batch = source.batch(step)
        assert torch.allclose(batch.micro_slice_average, batch.micro + 0.1, atol=1e-6)
    assert sampler().batch(0).micro_slice_average is None


def test_neighbours_are_cut_and_turned_with_their_patches_and_come_with_their_distance():
    random = torch.Generator().manual_seed(0)
    stored = torch.randint(-900, 900, (5, 9, 9), generator=random, dtype=torch.int16)
    both, distances = torch.stack([stored + 10, stored + 20], 1), torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    bank = DeviceBank(stored, 1e-3, 0.0, neighbours=both, slice_spacings=distances)
    batch = UnpairedSampler(bank, bank, 4, 1, 5, 0, flips=True).batch(0)
    assert torch.allclose(batch.clinical_neighbours, batch.clinical + torch.tensor([0.01, 0.02]).view(1, 2, 1, 1))
    assert torch.allclose(batch.micro_neighbours, batch.micro + torch.tensor([0.01, 0.02]).view(1, 2, 1, 1))
    assert sorted(batch.micro_slice_spacing.tolist()) == distances.tolist()
    assert sampler().batch(0).micro_neighbours is None
