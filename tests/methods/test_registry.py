"""The registry lists without torch and answers for every method alike."""

import subprocess
import sys

import pytest
import torch

from ctloupe import methods
from ctloupe.foundation.errors import OptionError


def test_listing_methods_imports_no_torch():
    code = "import sys; from ctloupe import methods; print(methods.names()); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sr-cyclegan" in done.stdout


def test_an_unknown_method_is_an_error_that_lists_the_known_ones():
    with pytest.raises(OptionError, match=r"bicubic, .*sr-cyclegan, "):
        methods.get("sr-cyclgan")


@pytest.mark.slow
@pytest.mark.parametrize("name", methods.names())
def test_every_method_has_presets_a_summary_and_an_enhancer_of_the_right_size(name):
    kind = methods.get(name)
    assert kind.name == name
    assert kind.summary
    for preset in kind.presets:
        small = preset == list(kind.presets)[-1]
        for scale in (2, 4, 8, 16) if small else (kind.configure(preset).scale,):
            config = kind.configure(preset, {"scale": scale})
            with torch.device("meta"):
                output = kind.make_enhancer(config)(torch.empty(1, 1, 9, 11))
            assert output.shape == (1, 1, 9 * scale, 11 * scale)
