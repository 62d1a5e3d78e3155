"""Physics-Flow: its pairs come from a whole range of scanners, its start is the posterior mean, its average is kept."""

import json
from dataclasses import replace

import pytest
import torch

from ctloupe import methods
from ctloupe.foundation.errors import OptionError
from ctloupe.methods.base import Batch
from ctloupe.methods.package import load_package
from ctloupe.train.loop import train
from plain_backend import PlainBackend, random_batch
from small_config import SMALL_BY_METHOD


def build(**changes):
    kind = methods.get("physics-flow")
    torch.manual_seed(0)
    return kind(kind.configure("tiny", SMALL_BY_METHOD["physics-flow"] | changes))


def test_scanners_are_drawn_from_the_whole_range_or_around_the_estimate():
    drawn = build(near_fraction=0.0, blur_range=(0.2, 1.0), noise_range=(0.0, 0.08)).scanners(500)
    assert 0.2 <= drawn.blur.min() < 0.25 and 0.95 < drawn.blur.max() <= 1.0
    assert drawn.noise.min() >= 0 and 0.07 < drawn.noise.max() <= 0.08
    method = build(near_fraction=1.0)
    method.estimate[:4] = torch.tensor([0.5, 0.04, 1.0, 0.3])
    close = method.scanners(500)
    assert close.blur.min() >= 0.4 and close.blur.max() <= 0.6
    assert torch.all(close.rise == 1.0)


def test_a_share_of_each_batch_learns_the_mean_and_the_rest_the_flow():
    seen = []

    class Watching(PlainBackend):
        def forward(self, trainable, *inputs):
            if trainable == "flow":
                seen.append(inputs[2])
            return super().forward(trainable, *inputs)

    method = build(mean_fraction=0.25)
    method.step(random_batch(method, 8), Watching(method))
    (time,) = seen
    assert torch.equal(time[:2], torch.zeros(2)) and time[2:].min() > 0 and time[2:].max() < 1


def test_the_mean_does_not_depend_on_the_guess():
    method = build()
    scan, scanner = torch.rand(1, 1, 12, 12) - 0.5, torch.tensor([[0.4, 0.02, 1.0, 0.3]])
    one, other = (method.network(scan, torch.randn(1, 1, 48, 48), torch.zeros(1), scanner) for _ in range(2))
    assert torch.equal(one, other)
    later = [method.network(scan, torch.randn(1, 1, 48, 48), torch.full((1,), 0.5), scanner) for _ in range(2)]
    assert not torch.equal(*later)


def test_the_network_is_told_the_scanner():
    method = build()
    for block in method.network.trunk:
        torch.nn.init.normal_(block.affine.weight)
    scan, guess = torch.rand(1, 1, 12, 12) - 0.5, torch.zeros(1, 1, 48, 48)
    smooth, sharp = (
        method.network(scan, guess, torch.zeros(1), torch.tensor([[blur, 0.02, 1.0, 0.3]])) for blur in (1.0, 0.3)
    )
    assert not torch.allclose(smooth, sharp)


def test_the_average_follows_the_network_and_is_what_enhances():
    method = build(average=0.5)
    backend = PlainBackend(method)
    before = {name: value.clone() for name, value in method.enhancer().flow.state_dict().items()}
    method.step(random_batch(method), backend)
    after, network = method.enhancer().flow.state_dict(), method.network.state_dict()
    for name, value in after.items():
        # After one step the past weighs (1 + 1) / (10 + 1).
        assert torch.allclose(value, before[name] * 2 / 11 + network[name] * 9 / 11, atol=1e-6)


@pytest.mark.parametrize("beside", ["deviation", "texture"])
def test_what_is_learnt_beside_the_flow_changes_nothing_of_it(beside):
    plain = {"deviation": False, "texture": False, "mean_fraction": 0.5}
    with_head, without = build(**plain | {beside: True}), build(**plain)
    for method in (with_head, without):
        torch.manual_seed(1)
        method.examine(random_batch(method, 8))
        method.step(random_batch(method), PlainBackend(method))
        method.step(random_batch(method), PlainBackend(method))
    assert {*with_head.networks()} > {*without.networks()} == {"flow"}
    theirs = without.enhancer().flow.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in with_head.enhancer().flow.state_dict().items())


def test_with_a_texture_all_of_a_batch_may_be_for_the_mean_and_without_one_it_may_not():
    method = build(texture=True, mean_fraction=1.0)
    terms = method.step(random_batch(method), PlainBackend(method))
    assert {"mean", "texture", "discriminator"} < set(terms) and "flow" not in terms
    with pytest.raises(OptionError, match="nothing makes samples"):
        build(texture=False, mean_fraction=1.0)


def test_the_average_of_the_texture_is_what_is_kept():
    method = build(texture=True, mean_fraction=1.0)
    before = {name: value.clone() for name, value in method.texture.state_dict().items()}
    method.step(random_batch(method), PlainBackend(method))
    for name, value in method.enhancer().texture.state_dict().items():
        assert torch.allclose(value, before[name] * 2 / 11 + method.texture.state_dict()[name] * 9 / 11, atol=1e-6)


def test_the_spread_of_the_prior_travels_with_the_model():
    method = build()
    micro = random_batch(method, 8).micro
    method.examine(Batch(torch.nn.functional.avg_pool2d(micro, 4), micro))
    # This µCT is uniform within ±0.5 times the gain that was found, whatever the scan shows.
    gain = method.findings()["gain"]
    assert method.enhancer().prior[20].item() == pytest.approx(abs(gain) / 12**0.5, rel=0.15)


def test_gradients_are_limited():
    method = build(gradient_limit=1e-3, orthogonal_rate=0.0)
    optimiser = method.optimisers()["flow"]
    for parameter in method.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    norm = torch.cat([p.grad.flatten() for p in method.network.parameters()]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_the_flows_inner_convolutions_are_stepped_orthogonally():
    method = build()
    optimiser = method.optimisers()["flow"]
    (inner,) = (group["params"] for group in optimiser.param_groups if group["orthogonal"])
    # Those of three blocks, and from grid to grid; not what sees or makes an image.
    assert len(inner) == 2 * 3 + 2
    assert not {id(one) for one in inner} & {id(method.network.head.weight), id(method.network.exit.weight)}


def test_examining_finds_the_scanner_and_the_spectra_that_travel_with_the_model():
    method = build(patch_size=32)
    assert method.enhancer().spectra() is None
    sample = random_batch(method, 16)
    method.examine(Batch(0.5 * sample.clinical - 0.3, sample.micro))
    found = method.findings()
    assert found["gain"] > 0 and method.enhancer().scanner[0].item() == pytest.approx(found["blur"], abs=1e-4)
    assert method.enhancer().spectra().power.shape == (25, 15)


def with_neighbours(method, count=4):
    batch = random_batch(method, count)
    two = [one.expand(-1, 2, -1, -1) for one in (batch.clinical, batch.micro)]
    spacings = torch.linspace(0.6, 1.8, count)
    return replace(batch, clinical_neighbours=two[0], micro_neighbours=two[1], micro_slice_spacing=spacings)


def test_neighbours_are_scanned_by_the_same_scanner_with_noise_of_their_own():
    seen = []

    class Watching(PlainBackend):
        def forward(self, trainable, *inputs):
            seen.append(inputs)
            return super().forward(trainable, *inputs)

    method = build(neighbours=True, noise_range=(0.05, 0.05), near_fraction=0.0)
    batch = with_neighbours(method)
    method.step(batch, Watching(method))
    scan, _, _, told = seen[0]
    assert scan.shape == (4, 3, 12, 12) and torch.equal(told[:, 4], batch.micro_slice_spacing)
    # The neighbours show the same thing here, so that nothing but noise tells them apart.
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (scan[:, one] - scan[:, other]).std().item() == pytest.approx(0.05 * 2**0.5, rel=0.15)


def test_a_flow_with_neighbours_keeps_the_distances_it_was_trained_on():
    method = build(neighbours=True, patch_size=32)
    method.examine(with_neighbours(method, 16))
    assert method.enhancer().slice_spacings.tolist() == pytest.approx([0.6, 1.8])
    assert method.preview(with_neighbours(method))["SR"].shape == (4, 1, 128, 128)


def test_neighbours_are_refused_where_the_bank_has_none(settings):
    with pytest.raises(OptionError, match="keeps no neighbouring slices"):
        train(settings(method="physics-flow", config={"neighbours": True}, steps=1))


def test_the_package_holds_what_samples_need(settings):
    made = settings(method="physics-flow", steps=1)
    train(made)
    package = load_package(made.out / "model")
    assert package.enhancer.spectra() is not None
    findings = json.loads((made.out / "manifest.json").read_text())["findings"]
    assert set(findings) == {"blur", "noise", "rise", "roll_off", "gain", "offset", "misfit"}


def test_it_learns_how_planes_differ_from_slices_where_the_bank_has_both():
    method = build()
    sample = random_batch(method, 16)
    clinical = 0.5 * sample.clinical - 0.3
    method.examine(Batch(clinical, sample.micro))
    assert method.average.thin_plane_power(0.3) is None
    method.examine(Batch(clinical, sample.micro, micro_slice_average=0.5 * sample.micro))
    assert (method.average.thin_plane_power(0.3) > 0).all()
