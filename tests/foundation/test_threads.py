"""Threads that share the cores of a machine."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctloupe.foundation.threads import give_way, waits_passively

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
UNSET = (*NAMES, "ZARR_THREADING__MAX_WORKERS", "OPENBLAS_NUM_THREADS")
SHARING = """
import os
from ctloupe.foundation.threads import share_the_cores, waits_passively
share_the_cores()
print(waits_passively(), os.environ.get("OMP_WAIT_POLICY"), os.environ["ZARR_THREADING__MAX_WORKERS"])
"""


def shared(code=SHARING, **given):
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    done = subprocess.run([sys.executable, "-c", code], env=kept | given, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_threads_sleep_while_they_wait_and_half_of_the_cores_compress():
    assert shared() == ["True", "PASSIVE", str(max(1, (os.cpu_count() or 1) // 2))]


def test_what_the_user_has_set_stays():
    assert shared(OMP_WAIT_POLICY="active", ZARR_THREADING__MAX_WORKERS="7") == ["False", "active", "7"]
    assert shared(GOMP_SPINCOUNT="10000")[:2] == ["False", "None"]


def test_nothing_is_said_of_what_has_been_read_already():
    assert shared("import sys\nsys.modules['torch'] = sys\n" + SHARING)[:2] == ["False", "None"]


def test_linear_algebra_stays_in_its_thread_unless_it_is_loaded_or_the_user_wants_it_otherwise():
    code = "import os\nfrom ctloupe.foundation.threads import calculate_alone\n{}calculate_alone()\n"
    code += "print(os.environ.get('OPENBLAS_NUM_THREADS'))"
    assert shared(code.format("")) == ["1"]
    assert shared(code.format(""), OPENBLAS_NUM_THREADS="3") == ["3"]
    assert shared(code.format("import sys\nsys.modules['numpy'] = sys\n")) == ["None"]


@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "0")])
def test_what_makes_threads_sleep_is_known(monkeypatch, name, value):
    for one in NAMES:
        monkeypatch.delenv(one, raising=False)
    assert not waits_passively()
    monkeypatch.setenv(name, value)
    assert waits_passively()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no urgency of their own here")
def test_a_thread_gives_way_and_no_other_does():
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    with ThreadPoolExecutor(1, initializer=give_way) as pool:
        assert pool.submit(niceness).result() > before or before >= 15
    assert niceness() == before
