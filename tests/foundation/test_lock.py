"""One process at a time writes an output; a lock says who, and ends with its process."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.lock import Holder, locked

HOLDING = """
import sys
from pathlib import Path
from ctloupe.foundation.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other():
    """Start another process that holds the lock of a path; it is killed in the end."""
    started = []

    def start(path):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_process_is_refused_until_the_first_has_ended_and_a_killed_one_is_taken_over(tmp_path, other):
    path = tmp_path / "fine.ome.zarr"
    process = other(path)
    with pytest.raises(FileError, match=rf"fine.ome.zarr: process {process.pid} .* is writing it; wait"), locked(path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    lock = tmp_path / ".fine.ome.zarr.lock"
    assert json.loads(lock.read_text())["pid"] == process.pid
    with locked(path):
        assert Holder.model_validate_json(lock.read_text()).pid == os.getpid()
    assert not list(tmp_path.iterdir())


def held_elsewhere(path, **changes):
    facts = json.loads(Holder.this().model_dump_json()) | changes
    (path.parent / f".{path.name}.lock").write_text(json.dumps(facts))


def test_a_lock_of_another_machine_is_never_taken_over_and_says_how_to_go_on(tmp_path):
    held_elsewhere(tmp_path / "fine", host="node-17", pid=4711)
    words = r"process 4711 on 'node-17' has been writing it since .*delete .*\.fine\.lock if it no longer runs there"
    for _ in range(2):
        with pytest.raises(FileError, match=words), locked(tmp_path / "fine"):
            pass
    (tmp_path / ".fine.lock").unlink()
    with locked(tmp_path / "fine"):
        pass


def test_a_number_that_another_process_has_now_is_not_the_holder(tmp_path, monkeypatch):
    # As on a file system without locks of its own.
    monkeypatch.setitem(sys.modules, "fcntl", None)
    held_elsewhere(tmp_path / "fine", born=1.0)
    with locked(tmp_path / "fine"), pytest.raises(FileError, match="is writing it"), locked(tmp_path / "fine"):
        pass
    held_elsewhere(tmp_path / "fine", host=socket.gethostname())
    with pytest.raises(FileError, match=f"process {os.getpid()} "), locked(tmp_path / "fine"):
        pass


@pytest.mark.parametrize("text", ["{", '{"pid": "many"}', "[]"])
def test_a_damaged_lock_is_refused_and_one_that_was_never_written_is_not(tmp_path, text):
    lock = tmp_path / ".fine.lock"
    lock.write_text(text)
    with pytest.raises(FileError, match=r"its lock .* is damaged; delete it"), locked(tmp_path / "fine"):
        pass
    lock.write_text("")
    with locked(tmp_path / "fine"):
        pass


def test_of_many_that_come_at_once_one_at_a_time_gets_in(tmp_path):
    inside, most, done, stop = [], [], [], threading.Event()

    def work():
        while not stop.is_set():
            try:
                with locked(tmp_path / "run", inside=True):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    done.append(1)
            except FileError:
                continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    stop.wait(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    assert done and max(most) == 1


def test_two_names_of_one_output_have_one_lock_and_folders_made_for_it_go_again(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "new" / "deep" / "fine")
    with locked(tmp_path / "new" / "deep" / "fine"), pytest.raises(FileError), locked(tmp_path / "link"):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["link"]
