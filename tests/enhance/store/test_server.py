"""The process from which those of several devices are started."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from ctloupe.enhance.store import server

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


def test_the_workers_of_a_scheduler_are_asked_once_by_blocks_within_each_other(monkeypatch):
    asked = []

    class Client:
        def scheduler_info(self):
            return {"workers": ["one", "two"]}

        def submit(self, work, workers, pure):
            asked.extend(workers)

    @contextmanager
    def connected(address):
        yield Client()

    monkeypatch.setattr(server, "connected", connected)
    with pytest.raises(ZeroDivisionError), server.workers_ready("tcp://a"), server.workers_ready("tcp://a"):
        assert asked == ["one", "two"]
        raise ZeroDivisionError
    with server.workers_ready("tcp://a"):
        assert asked == ["one", "two"] * 2
