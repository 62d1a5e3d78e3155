"""The learnt deviation makes intervals that hold what they claim; the prior's spread is that about each value."""

import pytest
import torch

from ctloupe.networks.flow.deviation import LEVELS, coverage_loss, share_left_open, spread_by_value


def least(error):
    """The one log σ at which the loss of these errors is least."""
    tried = torch.linspace(-3, 1, 401)
    return float(tried[torch.stack([coverage_loss(one.expand_as(error), error) for one in tried]).argmin()])


def test_of_gaussian_errors_it_is_the_standard_deviation():
    error = 0.3 * torch.randn(40_000, generator=torch.Generator().manual_seed(0))
    assert least(error) == pytest.approx(torch.tensor(0.3).log().item(), abs=0.03)


def test_of_other_errors_the_80_and_95_percent_intervals_hold_about_what_they_claim():
    random = torch.Generator().manual_seed(0)
    # Mostly small and sometimes large, as of foam whose walls are missed: skewed, and far from Gaussian.
    error = torch.where(torch.rand(40_000, generator=random) < 0.15, 0.6, 0.1) * torch.randn(40_000, generator=random)
    sigma = torch.tensor(least(error)).exp()
    covered = [(error.abs() <= z * sigma).float().mean().item() for z in (1.2816, 1.96)]
    assert 0.75 <= covered[0] <= 0.87 and 0.85 <= covered[1] <= 0.97
    of_squares = error.square().mean().sqrt()
    assert abs(covered[0] - 0.8) < abs((error.abs() <= 1.2816 * of_squares).float().mean().item() - 0.8)


def test_the_priors_spread_is_that_about_the_mean_of_each_value():
    random = torch.Generator().manual_seed(0)
    value = torch.where(torch.rand(1, 1, 200, 200, generator=random) < 0.5, -0.5, 0.5)
    image = 0.3 * value + torch.where(value > 0, 0.2, 0.05) * torch.randn(value.shape, generator=random)
    spread = spread_by_value(value, image)
    assert spread.shape == (LEVELS,)
    assert spread[10].item() == pytest.approx(0.05, rel=0.05) and spread[30].item() == pytest.approx(0.2, rel=0.05)
    # Values that no pixel has take the spread of the nearest that some have.
    assert spread[0] == spread[10] and spread[-1] == spread[30]


def test_the_share_is_one_where_nothing_is_known_and_never_above():
    prior = torch.full((LEVELS,), 0.2)
    log_deviation, value = torch.tensor([0.2, 0.1, 0.4]).log(), torch.tensor([-1.0, 0.33, 1.0])
    assert torch.allclose(share_left_open(log_deviation, value, prior), torch.tensor([1.0, 0.5, 1.0]), atol=1e-5)
