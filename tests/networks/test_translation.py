"""Translation networks: CycleGAN's generator, its enlarging variants, and dropout that can stay on."""

import pytest
import torch

from ctloupe.networks.dropout import MonteCarloDropout, is_stochastic, sampling
from ctloupe.networks.translation import CleanAndEnlarge, TranslationGenerator


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_two_downblocks_and_nine_blocks_make_cyclegans_generator():
    # 11.366 M of the published CycleGAN (three channels) less what two channels of both 7×7 convolutions hold.
    by_hand = 49 * 64 + 64 + 9 * 64 * 128 + 128 + 9 * 128 * 256 + 256 + 9 * 2 * (9 * 256 * 256 + 256)
    by_hand += 9 * 256 * 128 + 128 + 9 * 128 * 64 + 64 + 49 * 64 + 1
    assert count(TranslationGenerator()) == by_hand


@pytest.mark.parametrize("downs", [0, 2, 3])
@pytest.mark.parametrize("further", [0, 1, 3])
@pytest.mark.parametrize("size", [(12, 12), (9, 15), (16, 11)])
def test_the_size_is_kept_or_enlarged_whatever_it_is(downs, further, size):
    network = TranslationGenerator(8, 1, downs, further).eval()
    made = network(torch.rand(1, 1, *size))
    assert made.shape == (1, 1, size[0] << further, size[1] << further)
    assert made.abs().max() <= 1


def test_an_untrained_network_with_a_skip_returns_almost_its_input():
    network = TranslationGenerator(8, 1, skip=True).eval()
    torch.nn.init.zeros_(network.layers[-1].weight)
    torch.nn.init.zeros_(network.layers[-1].bias)
    image = torch.rand(1, 1, 12, 12) - 0.5
    assert torch.allclose(network(image), image)


def test_dropout_is_off_in_evaluation_and_on_while_samples_are_drawn():
    network = TranslationGenerator(8, 2, dropout=0.5).eval()
    image = torch.rand(1, 1, 12, 12)
    assert is_stochastic(network) and not is_stochastic(TranslationGenerator(8, 2))
    with torch.no_grad():
        assert torch.equal(network(image), network(image))
        with sampling(network):
            assert not torch.equal(network(image), network(image))
        assert torch.equal(network(image), network(image))


def test_dropout_keeps_the_mean_and_drops_the_share_it_is_told():
    torch.manual_seed(0)
    layer = MonteCarloDropout(0.3)
    made = layer(torch.ones(1, 1, 400, 400))
    assert made.mean().item() == pytest.approx(1, abs=0.01)
    assert (made == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_clean_and_enlarge_is_one_after_the_other():
    chain = CleanAndEnlarge(torch.nn.Conv2d(1, 1, 1), TranslationGenerator(4, 1, downs=0, further=1))
    image = torch.rand(1, 1, 8, 9)
    assert torch.equal(chain(image), chain.enlarge(chain.clean(image)))
