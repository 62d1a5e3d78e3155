"""Inner convolutions take steps without preferred directions, the other weights those of AdamW."""

import pytest
import torch
from torch import nn

from ctloupe.methods.clipped_adamw import ClippedAdamW
from ctloupe.methods.orthogonal_adamw import OrthogonalAdamW, orthogonalised

OPTIONS = {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.0}


@pytest.mark.parametrize("shape", [(3, 16, 72), (1, 72, 16), (2, 9, 9)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    torch.manual_seed(0)
    given = torch.randn(shape) * torch.logspace(-1, 0, shape[-1])
    left, before, right = torch.linalg.svd(given, full_matrices=False)
    kept = before > 0.02 * before.amax(-1, keepdim=True)
    after = torch.linalg.svdvals(orthogonalised(given))
    assert after.max() < 1.3
    # In the directions of the given matrices the result is nearly diagonal.
    turned = left.mT @ orthogonalised(given) @ right.mT
    assert (turned.diagonal(dim1=-2, dim2=-1)[kept] > 0.5).all()
    assert (turned - torch.diag_embed(turned.diagonal(dim1=-2, dim2=-1))).abs().max() < 1e-3


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 1, 3))


def one_step(made, optimiser):
    made(torch.ones(1, 1, 12, 12)).square().sum().backward()
    optimiser.step()
    return [parameter.detach().clone() for parameter in made.parameters()]


def test_only_what_is_named_steps_otherwise_than_with_adamw():
    mine, other = network(), network()
    before = mine[1].weight.detach().clone()
    found = one_step(mine, OrthogonalAdamW(mine.parameters(), [mine[1].weight], 0.3, 1.0, **OPTIONS))
    expected = one_step(other, ClippedAdamW(other.parameters(), 0.3, **OPTIONS))
    same = [torch.equal(one, two) for one, two in zip(found, expected, strict=True)]
    assert same == [True, True, False, True, True, True]
    step = (mine[1].weight - before).detach().flatten(1)
    # A step of AdamW has a root mean square of at most its rate; this one a fifth of it in the directions it has.
    assert 0.02e-3 < step.square().mean().sqrt() < 0.3e-3


def test_it_continues_from_its_state():
    whole, first = network(), network()
    optimiser = OrthogonalAdamW(whole.parameters(), [whole[1].weight], 0.3, 1.0, **OPTIONS)
    one_step(whole, optimiser)
    optimiser.zero_grad()
    expected = one_step(whole, optimiser)
    early = OrthogonalAdamW(first.parameters(), [first[1].weight], 0.3, 1.0, **OPTIONS)
    one_step(first, early)
    late = OrthogonalAdamW(first.parameters(), [first[1].weight], 0.3, 1.0, **OPTIONS)
    late.load_state_dict(early.state_dict())
    late.zero_grad()
    assert all(torch.equal(one, two) for one, two in zip(one_step(first, late), expected, strict=True))
