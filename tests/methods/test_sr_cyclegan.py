"""SR-CycleGAN: presets, cost, loss weights, and a step that learns."""

import numpy as np
import pytest
import torch
from scipy.ndimage import zoom

from ctloupe import methods
from ctloupe.foundation.errors import OptionError
from ctloupe.losses.mmsr import f_down
from ctloupe.methods.base import Batch
from ctloupe.methods.cost import gflop, parameters, without_storage
from plain_backend import PlainBackend, random_batch
from small_config import SMALL


def build(preset="tiny", **changes):
    kind = methods.get("sr-cyclegan")
    torch.manual_seed(0)
    return kind(kind.configure(preset, SMALL | changes))


def test_the_reference_preset_has_the_papers_parameters():
    kind = methods.get("sr-cyclegan")
    for preset in ("jmi2022", "jmi2022-code"):
        counts = parameters(without_storage(kind, kind.configure(preset)))
        assert counts == {
            "G1": 802_222,
            "G2": 12_936_769,
            "D_micro": 2_762_689,
            "D_clinical": 2_762_689,
            "total": 19_264_369,
        }


def test_the_reference_preset_has_the_papers_loss_weights():
    weights = methods.get("sr-cyclegan").configure("jmi2022").weights
    assert (weights.ssim_clinical, weights.ssim_micro, weights.downsample, weights.upsample) == (
        1,
        1,
        0.7,
        0.3,
    )
    assert (weights.adversarial_micro, weights.adversarial_clinical, weights.cycle) == (1, 1, 1)
    assert (weights.identity_micro, weights.identity_clinical) == (0, 0)


@pytest.mark.slow
def test_the_arithmetic_of_a_forward_pass_is_the_sum_over_its_convolutions():
    kind = methods.get("sr-cyclegan")
    config = kind.configure("jmi2022")
    pixels = config.patch_size**2
    by_hand = 49 * 64 + 19 * 9 * 64 * 64 + 9 * 64 * 128 + 4 * 9 * 32 * 64 + 16 * 9 * 16 * 32 + 64 * 49 * 8
    assert gflop(without_storage(kind, config))["enhance"] == pytest.approx(2 * by_hand * pixels / 1e9)


@pytest.mark.slow
def test_the_tiny_preset_costs_less_than_a_thirtieth_of_the_papers_step():
    kind = methods.get("sr-cyclegan")
    tiny, paper = (gflop(without_storage(kind, kind.configure(name)))["train_step"] for name in ("tiny", "jmi2022"))
    assert 0 < tiny < paper / 30


def test_an_unknown_key_or_preset_is_an_error_that_names_it():
    kind = methods.get("sr-cyclegan")
    with pytest.raises(OptionError, match="learning_rat"):
        kind.configure("tiny", {"learning_rat": 1e-3})
    with pytest.raises(OptionError, match=r"weights\.cycel"):
        kind.configure("tiny", {"weights.cycel": 1})
    with pytest.raises(OptionError, match="jmi2022-code"):
        kind.configure("jmi")
    with pytest.raises(OptionError, match="scale"):
        kind.configure("tiny", {"scale": 3})


def test_the_presets_of_the_released_code_have_its_weights():
    kind = methods.get("sr-cyclegan")
    eight, four = kind.configure("jmi2022-code"), kind.configure("jmi2022-code-x4")
    assert (eight.scale, eight.weights.downsample, eight.weights.upsample) == (8, 1, 1)
    assert (four.scale, four.weights.downsample, four.weights.upsample) == (4, 0.7, 0.3)
    for config in (eight, four):
        assert (config.weights.identity_micro, config.weights.identity_clinical) == (0.2, 0.02)
        assert (config.ssim, config.identity_enlargement) == ("gaussian-padded", "bilinear")


def test_mixed_input_of_the_released_code_is_scipys_zoom():
    method = build("jmi2022-code", mixed_input=1)
    batch = random_batch(method, n=1)
    expected = zoom(batch.micro[0, 0].double().numpy(), 1 / 4, order=3, mode="mirror")
    np.testing.assert_allclose(method._mixed(batch)[0, 0].numpy(), expected, atol=1e-5)


def test_dotted_changes_keep_the_rest_of_the_preset():
    weights = methods.get("sr-cyclegan").configure("jmi2022-code", {"weights.cycle": 3}).weights
    assert (weights.cycle, weights.identity_micro) == (3, 0.2)


def test_total_is_the_weighted_sum_of_the_terms():
    method = build()
    losses = method.step(random_batch(method), PlainBackend(method))
    weights = method.loss_weights()
    expected = sum(weights[name] * value.item() for name, value in losses.items() if name in weights)
    assert losses["total"].item() == pytest.approx(expected, rel=1e-5)
    assert {"discriminator_micro", "discriminator_clinical"} < set(losses)


def test_a_step_changes_every_network():
    method = build()
    before = {name: [p.clone() for p in network.parameters()] for name, network in method.networks().items()}
    method.step(random_batch(method), PlainBackend(method))
    for name, network in method.networks().items():
        assert any(not torch.equal(a, b) for a, b in zip(before[name], network.parameters(), strict=True)), name


def test_the_generators_step_leaves_no_gradient_in_the_discriminators():
    method = build()

    class Watching(PlainBackend):
        def update(self, trainable, loss):
            if trainable == "generators":
                loss.backward()
                assert all(p.grad is None for p in method.discriminators.parameters())
            else:
                super().update(trainable, loss)

    method.step(random_batch(method), Watching(method))


@pytest.mark.slow
def test_training_lowers_the_consistency_terms():
    method = build(learning_rate=2e-3)
    backend, batch = PlainBackend(method), random_batch(method)
    losses = [method.step(batch, backend) for _ in range(25)]
    assert losses[-1]["cycle"] < 0.8 * losses[0]["cycle"]
    assert losses[-1]["ssim_clinical"] <= losses[0]["ssim_clinical"] + 0.02


def test_the_released_codes_identity_terms_history_and_mixed_input_run():
    method = build("jmi2022-code", mixed_input=2, history=3, patch_size=16)
    losses = method.step(random_batch(method), PlainBackend(method))
    assert {"identity_micro", "identity_clinical"} < set(losses)


@pytest.mark.parametrize("every", [2, 3, 4])
def test_every_nth_clinical_patch_is_a_shrunk_micro_patch_whatever_the_batch(every):
    method = build("jmi2022-code", mixed_input=every, mixed_reduction="average")
    whole = random_batch(method, n=6)
    mixed = method._mixed(whole)
    shrunk = f_down(whole.micro, 4)
    for index in range(6):
        expected = shrunk[index] if (index + 1) % every == 0 else whole.clinical[index]
        assert torch.equal(mixed[index], expected)
    split = [method._mixed(Batch(whole.clinical[i : i + 2], whole.micro[i : i + 2], i)) for i in (0, 2, 4)]
    assert torch.equal(torch.cat(split), mixed)
