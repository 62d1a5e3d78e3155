"""Networks of the baselines that clean or spoil an image, and what the papers say of them."""

import pytest
import torch
from torch import nn

from ctloupe import methods
from ctloupe.methods.cost import parameters, without_storage
from ctloupe.networks.correction import AttentionTranslation, BareTranslation, NoisyTranslation

JMI_TABLE_5 = {"esrgan": 24_383_820, "cincgan": 27_030_790, "pseudo-sr": 32_995_229}


def norms(network):
    return [layer for layer in network.modules() if "Norm" in type(layer).__name__]


def total(name, **changes):
    kind = methods.get(name)
    return parameters(without_storage(kind, kind.configure("paper", changes)))["total"]


@pytest.mark.parametrize("name", ["esrgan", "cincgan"])
def test_baselines_have_the_parameters_that_jmi_states_within_two_percent(name):
    assert total(name) == pytest.approx(JMI_TABLE_5[name], rel=0.02)


def test_pseudo_sr_would_have_them_with_more_blocks_in_the_network_that_the_paper_does_not_count():
    assert total("pseudo-sr") == pytest.approx(JMI_TABLE_5["pseudo-sr"], rel=0.12)
    assert total("pseudo-sr", blocks=24) == pytest.approx(JMI_TABLE_5["pseudo-sr"], rel=0.02)


@pytest.mark.parametrize("network", [BareTranslation(8, 2), AttentionTranslation(16, 2, 2)])
def test_what_has_no_normalisation_depends_on_no_other_image_and_no_mean(network):
    assert not norms(network)
    assert network(torch.rand(2, 1, 13, 10)).shape == (2, 1, 13, 10)


@pytest.mark.parametrize("halvings", [1, 2, 3, 4])
def test_the_network_that_brings_micro_ct_to_clinical_size_halves_as_often_as_asked(halvings):
    assert BareTranslation(8, 1, halvings)(torch.rand(1, 1, 48, 64)).shape == (1, 1, 48 >> halvings, 64 >> halvings)


@pytest.mark.parametrize("make", [BareTranslation, AttentionTranslation, NoisyTranslation])
def test_with_a_skip_a_network_whose_last_layer_is_zero_returns_its_input(make):
    network = make(16, skip=True).eval()
    last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    image = torch.rand(1, 1, 12, 12)
    assert torch.equal(network(image), image)


@pytest.mark.parametrize("size", [(12, 12), (13, 18)])
def test_one_clean_image_has_many_clinical_ones(size):
    network = NoisyTranslation(16, 1).eval()
    image = torch.rand(1, 1, *size)
    torch.manual_seed(0)
    first, second = network(image), network(image)
    torch.manual_seed(0)
    assert first.shape == image.shape
    assert not torch.allclose(first, second)
    assert torch.equal(network(image), first)
