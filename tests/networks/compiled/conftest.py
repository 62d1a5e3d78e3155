"""The compiled convolutions with registers that this machine need not have."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ctloupe.foundation.compiled import opened
from ctloupe.networks.compiled import library


@pytest.fixture(scope="session")
def of_any_width(tmp_path_factory):
    """The same source with registers of every size, which the compiler makes of those that there are."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    path = tmp_path_factory.mktemp("compiled") / "compiled.so"
    sources = Path(library.__file__).parent.glob("*.c")
    flags = ["-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-DALL_WIDTHS"]
    subprocess.run([compiler, *flags, *sources, "-o", path], check=True)
    return opened(path, library.FUNCTIONS)
