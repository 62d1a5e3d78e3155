"""The process from which those of several devices are started."""

import subprocess
import sys

import pytest

EARLY = """
import sys
from multiprocessing.forkserver import _forkserver
from ctloupe.enhance.store.server import start_early
start_early()
print("torch" in sys.modules, _forkserver._forkserver_pid is not None)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked there")
def test_it_is_started_before_torch_is_imported():
    done = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
