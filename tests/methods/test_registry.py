"""The registry lists without torch and answers for every method alike."""

import subprocess
import sys

import pytest

from ctloupe import methods
from ctloupe.foundation.errors import OptionError


def test_listing_methods_imports_no_torch():
    code = "import sys; from ctloupe import methods; print(methods.names()); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sr-cyclegan" in done.stdout


def test_an_unknown_method_is_an_error_that_lists_the_known_ones():
    with pytest.raises(OptionError, match=r"bicubic, .*sr-cyclegan, "):
        methods.get("sr-cyclgan")
