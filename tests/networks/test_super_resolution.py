"""Super-resolution networks of the baselines and of Physics-SRGAN: sizes, published parameter counts, and locality."""

import itertools

import pytest
import torch

from ctloupe.losses.mmsr import f_down
from ctloupe.networks.attention import RCAN, ChannelAttention
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.generators import SubPixelGenerator
from ctloupe.networks.plain import PlainSRNet
from ctloupe.networks.rrdb import RRDBNet
from ctloupe.networks.shared_latent import SharedLatentEnhancer
from ctloupe.networks.srresnet import ImageDiscriminator, SRResNet
from ctloupe.networks.unet import EnlargeAndRefine, UNet

NETWORKS = {
    "SRResNet": lambda scale: SRResNet(scale, 16, 1),
    "SRResNet narrowing": lambda scale: SRResNet(scale, 16, 1, narrowing=True, bicubic_skip=True),
    "RRDB": lambda scale: RRDBNet(scale, 8, 4, 1),
    "RRDB narrowing": lambda scale: RRDBNet(scale, 16, 4, 1, narrowing=True, bicubic_skip=True),
    "RCAN": lambda scale: RCAN(scale, 16, 1, 1),
    "plain": lambda scale: PlainSRNet(scale, 16, 1, corrections=1),
    "EDSR": lambda scale: PlainSRNet(scale, 8, 1, scaling=0.1, narrowing=False, bicubic_skip=False),
    "shared latent": lambda scale: SharedLatentEnhancer(scale, 16, 1, True),
    "U-Net": lambda scale: EnlargeAndRefine(scale, 2, 4, True),
}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_enlarges_odd_sizes_by_the_scale_and_stays_in_range(name, scale):
    network = NETWORKS[name](scale).eval()
    with torch.no_grad():
        made = network(torch.rand(1, 1, 9, 13) * 2 - 1)
    assert made.shape == (1, 1, 9 * scale, 13 * scale)
    assert made.abs().max() <= 1


@pytest.mark.parametrize(
    ("network", "parts"),
    [
        (SRResNet(2, 8, 1), ["head", "trunk", "tail", "last"]),
        (RCAN(2, 8, 1, 1), ["head", "trunk", "tail", "last"]),
        (PlainSRNet(2, 8, 1), ["head", "trunk", "tail", "last"]),
        (SubPixelGenerator(2, 8, 1), ["head", "trunk", "neck", "tail", "last"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_weights_have_the_names_and_the_order_of_packages_and_checkpoints_on_disk(network, parts):
    assert list(dict.fromkeys(name.split(".")[0] for name, _ in network.named_parameters())) == parts


def test_the_u_net_has_the_published_number_of_parameters():
    # 31.03 M with 64 to 1024 maps; by hand with padded 3×3 convolutions, one channel in and out.
    def double(channels_in, channels_out):
        return 9 * channels_in * channels_out + channels_out + 9 * channels_out**2 + channels_out

    widths = [64, 128, 256, 512, 1024]
    by_hand = double(1, 64) + sum(double(a, b) for a, b in itertools.pairwise(widths)) + 65
    by_hand += sum(4 * b * a + a + double(2 * a, a) for a, b in itertools.pairwise(widths))
    assert count(UNet()) == by_hand


def test_the_dense_trunk_has_the_published_number_of_parameters():
    # Of 16.70 M of ESRGAN (×4, three channels), 23 blocks of 3 dense blocks with 5 convolutions hold most.
    dense = sum(9 * (64 + 32 * i) * (32 if i < 4 else 64) + (32 if i < 4 else 64) for i in range(5))
    head_and_tail = (9 * 64 + 64) + (9 * 64 * 64 + 64) + 3 * (9 * 64 * 64 + 64) + (9 * 64 * 64 + 64) + (9 * 64 + 1)
    assert count(RRDBNet(8)) == 69 * dense + head_and_tail


def test_a_discriminator_of_whole_images_takes_any_size_and_gives_one_logit():
    network = ImageDiscriminator(4).eval()
    assert network(torch.rand(3, 1, 32, 48)).shape == (3, 1)


def test_channel_attention_weighs_maps_by_their_mean_alone():
    layer = ChannelAttention(4)
    one = torch.rand(1, 4, 6, 6)
    mixed = one.flatten(2)[..., torch.randperm(36)].reshape(1, 4, 6, 6)
    assert torch.allclose(layer(one) / one, layer(mixed) / mixed, rtol=1e-4)


def test_corrections_bring_the_reduced_output_to_the_input():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 24, 24) - 0.5
    off = []
    for corrections in (0, 1, 3):
        torch.manual_seed(1)
        network = PlainSRNet(4, 16, 1, corrections=corrections).eval()
        with torch.no_grad():
            off.append((f_down(network(image), 4) - image)[..., 2:-2, 2:-2].abs().mean().item())
    assert off[1] < 0.5 * off[0] and off[2] < 0.5 * off[1]


def test_without_corrections_and_details_the_plain_network_is_the_bicubic_enlargement():
    network = PlainSRNet(4, 16, 1)
    torch.nn.init.zeros_(network.last.weight)
    torch.nn.init.zeros_(network.last.bias)
    image = torch.rand(1, 1, 8, 9) - 0.5
    assert torch.allclose(network(image), enlarge_bicubic(image, 4))


def test_the_plain_network_sees_its_receptive_field_and_no_more():
    network = PlainSRNet(2, 8, 1).eval()
    image = torch.zeros(1, 1, 40, 40)
    touched = image.clone()
    touched[0, 0, 20, 20] = 1
    with torch.no_grad():
        changed = (network(touched) - network(image)).abs()[0, 0].nonzero()
    reach = max(abs(changed - 41).max().item(), 0)
    # Head, block, trunk end and sub-pixel step reach 1 + 2 + 1 + 1 coarse pixels, the last convolution 2 fine ones.
    assert 0 < reach <= 2 * 5 + 2 + 1
