"""The device that was asked for is taken, or missed in words."""

import pytest
import torch

from ctloupe.foundation.errors import OptionError
from ctloupe.networks.accelerator import resolve_accelerator


def test_the_processor_is_always_there_and_auto_takes_what_is():
    assert resolve_accelerator("cpu") == "cpu"
    assert resolve_accelerator("auto") in ("cuda", "mps", "cpu")


def test_a_device_that_is_not_there_is_an_error_that_names_it():
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    for name in [name for name, present in there.items() if not present]:
        with pytest.raises(OptionError, match=f"`accelerator` {name}: none is present"):
            resolve_accelerator(name)
