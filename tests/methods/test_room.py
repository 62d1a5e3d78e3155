"""What no machine can hold is known before it is made."""

import subprocess
import sys

import pytest
from torch import nn

from ctloupe import methods
from ctloupe.foundation.errors import ModelError
from ctloupe.methods.package import load_package, save_package
from ctloupe.methods.room import built_without_storage, lack_of_room


def test_what_fits_lacks_nothing():
    assert lack_of_room(lambda: nn.Conv2d(3, 4, 3)) is None


def test_weights_beyond_the_memory_are_told_with_what_they_need():
    found = lack_of_room(lambda: nn.Conv2d(200_000, 200_000, 3))
    assert found is not None and found.startswith("its weights need 1440.0 GB, and there are")


def test_each_copy_counts():
    found = lack_of_room(lambda: nn.Conv2d(200_000, 200_000, 3), 4)
    assert found is not None and found.startswith("its weights need 5760.0 GB")


@pytest.mark.parametrize("width", [10**12, 10**30])
def test_sizes_beyond_all_numbers_are_told(width):
    assert lack_of_room(lambda: nn.Conv2d(width, width, 3)) == "its sizes make a network that cannot be built"


def test_nothing_is_stored():
    assert built_without_storage(lambda: nn.Conv2d(100_000, 100_000, 3)).weight.device.type == "meta"


@pytest.mark.parametrize("width", [10**6, 10**30])
def test_a_package_with_absurd_sizes_is_refused_before_it_is_built(tiny_model, tmp_path, width):
    package = load_package(tiny_model)
    config = package.card.config | {"width": width}
    save_package(tmp_path / "model", package.enhancer, package.card.model_copy(update={"config": config}))
    with pytest.raises(ModelError, match=r"model\.json: its (sizes|weights)"):
        load_package(tmp_path / "model")


@pytest.mark.parametrize("name", [name for name in methods.names() if methods.get(name).trainable])
def test_every_method_can_be_looked_at_so(name):
    kind = methods.get(name)
    assert lack_of_room(lambda: kind(kind.configure("tiny"))) is None


ALL_WITHOUT_STORAGE = """
import sys
from ctloupe import methods
from ctloupe.methods.room import built_without_storage
for name in methods.names():
    kind = methods.get(name)
    if kind.trainable:
        config = kind.configure("tiny")
        built_without_storage(lambda: kind.make_enhancer(config))
    slow = "torch._dynamo" in sys.modules
    assert not slow, name
"""


def test_no_enhancer_imports_the_compiler_when_it_is_built_without_storage():
    done = subprocess.run([sys.executable, "-c", ALL_WITHOUT_STORAGE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
