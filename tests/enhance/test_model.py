"""Loading models: by folder and by name."""

from dataclasses import replace

import pytest
import torch

from ctloupe.enhance.model import LoadedModel, loaded_model
from ctloupe.foundation.errors import ModelError, OptionError
from small_enhancers import small_enhancer


def test_bicubic_needs_no_package_and_trained_methods_do():
    assert loaded_model("bicubic").scale == 8
    with pytest.raises(OptionError, match="trained weights"):
        loaded_model("sr-cyclegan")
    with pytest.raises(OptionError, match="no such folder or file, and no model of that name"):
        loaded_model("no/such/model")


def test_a_model_for_another_scale_is_refused(tiny_model):
    assert loaded_model(tiny_model).scale == 4
    with pytest.raises(ModelError, match="scale 4, not 8"):
        loaded_model(tiny_model, scale=8)


def test_a_package_brings_what_it_was_trained_on(tiny_model):
    model = loaded_model(tiny_model)
    assert model.trained_spacing == (0.6, 0.6) and model.patch_size == 12
    assert (model.window.low, model.micro_window.high) == (-1000, 15000)
    assert model.training["method"] == "sr-cyclegan" and model.trained_on is not None


def test_the_digest_is_that_of_the_weights():
    one = LoadedModel("one", small_enhancer("srgan", 2), 2)
    assert one.digest() == replace(one, name="other").digest()
    changed = small_enhancer("srgan", 2)
    next(changed.parameters()).add_(1e-3)
    assert one.digest() != replace(one, network=changed).digest()


def test_patches_in_unit_range_stay_in_it():
    patches = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for model in (LoadedModel("srgan", small_enhancer("srgan", 2), 2), loaded_model("bicubic", 2)):
        made = model.enhance_unit(patches)
        assert made.shape == (2, 1, 16, 16) and made.abs().max() <= 1
