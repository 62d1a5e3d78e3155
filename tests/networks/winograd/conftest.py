"""What tests of the compiled code share."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ctloupe.networks.winograd import library


@pytest.fixture(scope="session")
def of_any_width(tmp_path_factory):
    """The same source with registers of every size, which the compiler makes of those that there are."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    path = tmp_path_factory.mktemp("winograd") / "winograd.so"
    source = Path(library.__file__).with_name("winograd.c")
    flags = ["-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-DWINOGRAD_ALL_WIDTHS"]
    subprocess.run([compiler, *flags, source, "-o", path], check=True)
    return library._opened(path)
