"""What `import ctloupe` offers, and what it costs."""

import subprocess
import sys

import pytest

import ctloupe

NONSENSE = "nonsense"


@pytest.mark.parametrize("name", ctloupe.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name):
    assert name in dir(ctloupe)
    assert getattr(ctloupe, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(ctloupe, NONSENSE)


def test_importing_the_package_imports_neither_torch_nor_numpy():
    code = "import sys, ctloupe; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
