"""Physics-SRGAN: the scanner it estimates is the one it degrades with, and its records say so."""

import json

import pytest
import torch

from ctloupe import methods
from ctloupe.losses.mmsr import f_down
from ctloupe.methods.base import Batch
from ctloupe.train.loop import train
from plain_backend import random_batch
from small_config import SMALL_BY_METHOD


def build(**changes):
    kind = methods.get("physics-srgan")
    torch.manual_seed(0)
    return kind(kind.configure("tiny", SMALL_BY_METHOD["physics-srgan"] | changes))


def with_scanner(method, **values):
    names = list(method.findings())
    for name, value in values.items():
        method.scanner[names.index(name)] = value
    return method


def test_a_scanner_without_blur_and_noise_averages():
    method = with_scanner(build(blur_range=0, noise_range=0), blur=0.0, noise=0.0)
    micro = random_batch(method).micro
    assert torch.allclose(method.degraded(micro), f_down(micro, 4), atol=1e-5)


def test_noise_has_the_estimated_level_and_every_patch_a_level_of_its_own():
    method = with_scanner(build(noise_range=0, patch_size=32), noise=0.05)
    flat = torch.zeros(64, 1, 128, 128)
    assert method.degraded(flat).std().item() == pytest.approx(0.05, rel=0.05)
    method = with_scanner(build(noise_range=0.5, patch_size=32), noise=0.05)
    levels = method.degraded(flat).std((1, 2, 3))
    assert levels.min() < 0.035 and levels.max() > 0.065 and levels.min() > 0.02


def test_blur_is_a_gaussian_of_the_estimated_width():
    method = with_scanner(build(blur_range=0, noise_range=0, patch_size=32), blur=0.5, noise=0.0)
    point = torch.zeros(1, 1, 128, 128)
    point[..., 64, 64] = 1.0
    low = method.degraded(point)[0, 0]
    at = torch.arange(32) - (64 - 1.5) / 4
    variance = (low.sum(0) * at.square()).sum() / low.sum()
    # The variance of the Gaussian, of the average over a voxel, and of the grid the Gaussian is sampled on.
    assert variance.item() == pytest.approx(0.5**2 + 1 / 12, abs=0.02)


def test_intensities_follow_the_estimated_line():
    method = with_scanner(build(), gain=0.5, offset=-0.2)
    assert torch.allclose(method.clinical_intensities(torch.tensor([-1.0, 0.0, 0.6])), torch.tensor([-0.7, -0.2, 0.1]))


def test_examining_changes_the_scanner_and_a_checkpoint_keeps_it():
    method = build()
    before = method.findings()
    sample = random_batch(method, 16)
    method.examine(Batch(0.5 * sample.clinical - 0.3, sample.micro))
    assert method.findings() != before and method.findings()["gain"] > 0
    other = build()
    other.load_state_dict(method.state_dict())
    assert other.findings() == method.findings()


def test_a_checkpoint_with_the_noise_spectrum_beside_the_scanner_is_read():
    method = with_scanner(build(), noise=0.07)
    other = build()
    other.load_state_dict(method.state_dict() | {"noise_shape": torch.ones(12, 7)})
    assert other.findings() == method.findings()


def test_the_run_and_the_model_say_what_was_found(settings):
    made = settings(method="physics-srgan", steps=1)
    train(made)
    manifest = json.loads((made.out / "manifest.json").read_text())
    card = json.loads((made.out / "model" / "model.json").read_text())
    assert set(manifest["findings"]) == {"blur", "noise", "rise", "roll_off", "gain", "offset", "misfit"}
    assert card["training"]["findings"] == manifest["findings"]
