"""What every registered method must do, whatever it is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ctloupe import methods
from ctloupe.foundation.errors import OptionError
from ctloupe.methods.base import Batch
from ctloupe.methods.cost import gflop, parameters, without_storage
from plain_backend import PlainBackend, random_batch
from small_config import SMALL_BY_METHOD

ALL = methods.names()
TRAINABLE = [name for name in ALL if methods.get(name).trainable]
STAGES = [(name, stage) for name in TRAINABLE for stage in methods.get(name).stages]


def build(name, **changes):
    kind = methods.get(name)
    torch.manual_seed(0)
    preset = "tiny" if kind.trainable else None
    return kind(kind.configure(preset, SMALL_BY_METHOD[name] | changes))


def in_stage(name, stage, **changes):
    method = build(name, **changes)
    method.examine(random_batch(method, 8))
    method.enter(stage)
    return method


def test_every_method_has_a_small_configuration_here_and_a_page_in_the_docs():
    assert set(SMALL_BY_METHOD) == set(ALL)
    pages = Path(__file__).resolve().parents[2] / "docs" / "methods"
    reference = {"nearest", "lanczos", "bicubic"}
    assert {page.stem for page in pages.glob("*.md")} >= set(ALL) - reference
    assert (pages / "interpolation.md").is_file()


@pytest.mark.parametrize("name", ALL)
def test_a_method_says_what_it_is(name):
    kind = methods.get(name)
    assert kind.name == name and kind.summary and kind.reference
    if kind.trainable:
        assert {"paper", "tiny"} <= set(kind.presets)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_preset_can_be_built_enlarges_by_its_scale_and_is_costed(name):
    kind = methods.get(name)
    for preset in kind.presets:
        built = without_storage(kind, kind.configure(preset))
        assert (parameters(built)["total"] > 0) == kind.trainable
        scale = built.config.scale
        with torch.no_grad():
            made = built.enhancer()(torch.empty(1, 1, 9, 11, device="meta"))
        assert made.shape == (1, 1, 9 * scale, 11 * scale)
    assert (gflop(built)["train_step"] > 0) == kind.trainable


@pytest.mark.parametrize("name", ALL)
def test_an_unknown_key_is_an_error(name):
    with pytest.raises(OptionError, match="no_such_key"):
        methods.get(name).configure(changes={"no_such_key": 1})


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
@pytest.mark.parametrize("name", ALL)
def test_the_enhancer_enlarges_any_size_by_the_scale(name, scale):
    kind = methods.get(name)
    wide = {"width": 16} if "width" in kind.Config.model_fields else {}
    config = kind.configure("tiny" if kind.trainable else None, SMALL_BY_METHOD[name] | wide | {"scale": scale})
    enhancer = kind.make_enhancer(config).eval()
    with torch.no_grad():
        for height, width in ((12, 12), (13, 17), (24, 15)):
            made = enhancer(torch.rand(2, 1, height, width) - 0.5)
            assert made.shape == (2, 1, height * scale, width * scale)
            if kind.trainable:
                assert made.abs().max() <= 1


@pytest.mark.parametrize("name", ALL)
def test_the_enhancer_is_deterministic_in_evaluation_mode(name):
    method = build(name).eval()
    low = torch.rand(1, 1, 12, 12) - 0.5
    with torch.no_grad():
        assert torch.equal(method.enhancer()(low), method.enhancer()(low))


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_fresh_enhancer_takes_the_weights_of_a_trained_one(name):
    method = build(name)
    fresh = methods.get(name).make_enhancer(method.config)
    fresh.load_state_dict(method.enhancer().state_dict())
    low = torch.rand(1, 1, 12, 12) - 0.5
    with torch.no_grad():
        assert torch.equal(fresh.eval()(low), method.enhancer().eval()(low))


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_total_is_the_weighted_sum_of_the_terms(name, stage):
    method = in_stage(name, stage)
    losses = method.step(random_batch(method), PlainBackend(method))
    weights = method.loss_weights()
    assert all(term.ndim == 0 and not term.requires_grad and torch.isfinite(term) for term in losses.values())
    expected = sum(weights[term] * value.item() for term, value in losses.items() if term in weights)
    assert losses["total"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_the_gradient_of_a_step_reaches_every_parameter_of_its_players(name, stage):
    method = in_stage(name, stage)
    reached = set()

    class Watching(PlainBackend):
        def update(self, trainable, loss):
            self.optimisers[trainable].zero_grad()
            loss.backward()
            module = self.trainables[trainable]
            reached.update(id(p) for p in module.parameters() if p.grad is not None)
            self.optimisers[trainable].step()

    backend = Watching(method)
    method.step(random_batch(method), backend)
    for trainable, module in method.trainables().items():
        trained = [(name, one) for name, one in module.named_parameters() if one.requires_grad]
        missing = [name for name, one in trained if id(one) not in reached]
        assert not missing, (trainable, missing)


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_a_step_changes_the_stages_networks_and_no_others(name, stage):
    method = in_stage(name, stage)
    moving = {id(p) for module in method.trainables().values() for p in module.parameters()}
    before = {id(p): p.detach().clone() for p in method.parameters()}
    method.step(random_batch(method), PlainBackend(method))
    changed = {id(p) for p in method.parameters() if not torch.equal(before[id(p)], p)}
    assert changed <= moving
    for module in method.trainables().values():
        assert any(id(p) in changed for p in module.parameters())


@pytest.mark.parametrize("name", TRAINABLE)
def test_every_networks_parameters_are_trained_by_some_stage(name):
    method = build(name)
    trained = set()
    for stage in method.stages:
        method.enter(stage)
        trained |= {id(p) for module in method.trainables().values() for p in module.parameters()}
    for network in method.networks().values():
        assert {id(p) for p in network.parameters()} <= trained
    assert {id(p) for p in method.enhancer().parameters()} <= trained


def _blobs(batch):
    """The same batch with fine noise replaced by blobs, of which a scan can tell something."""
    smooth = torch.nn.functional.interpolate(batch.micro[..., ::6, ::6], batch.micro.shape[-2:], mode="bicubic")
    return replace(batch, micro=smooth.clamp(-1, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_a_short_training_on_one_batch_lowers_what_does_not_depend_on_the_opponent(name, stage):
    method = in_stage(name, stage, learning_rate=2e-3)
    backend, batch = PlainBackend(method), _blobs(random_batch(method))
    weights = method.loss_weights()
    terms = [term for term, weight in weights.items() if weight and "adversarial" not in term]

    def own(losses):
        return sum(weights[term] * losses[term].item() for term in terms if term in losses)

    history, steps = [], 30 if name == "physics-srgan" else 20
    for _ in range(steps):
        # Some draw scanners, and the same ones in every step are part of the same batch.
        torch.manual_seed(0)
        history.append(own(method.step(batch, backend)))
    # The opponent's part makes single steps wander, so all of the later half count.
    later = history[steps // 2 :]
    assert sum(later) / len(later) < 0.97 * sum(history[:2]) / 2


@pytest.mark.parametrize("name", TRAINABLE)
def test_previews_are_images_that_leave_the_method_as_it_was(name):
    method = build(name).eval()
    for stage in method.stages:
        method.enter(stage)
        for caption, images in method.preview(random_batch(method)).items():
            assert caption and images.ndim == 4 and images.shape[:2] == (2, 1)


@pytest.mark.parametrize("name", TRAINABLE)
def test_clinical_like_images_have_the_clinical_size_or_are_refused_in_words(name):
    method = build(name).eval()
    micro = random_batch(method).micro
    try:
        with torch.no_grad():
            made = method.clinical_like(micro)
    except OptionError as error:
        assert name in str(error)
    else:
        assert made.shape == (2, 1, 12, 12)


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_batch_with_thick_slices_is_accepted(name):
    method = build(name)
    plain = random_batch(method)
    losses = method.step(Batch(plain.clinical, plain.micro, 0, plain.micro), PlainBackend(method))
    assert torch.isfinite(losses["total"])
