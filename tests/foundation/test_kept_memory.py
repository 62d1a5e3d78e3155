"""Memory that is kept for what comes next is given back at the end."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="the allocator is that of another system"
)


KEPT = """
import numpy as np
import psutil
from ctloupe.foundation.kept_memory import kept_memory

def held():
    return psutil.Process().memory_info().rss - before

size, before = 64 * 2**20, psutil.Process().memory_info().rss
with kept_memory({wanted}):
    array = np.full(size // 4, 1, np.float32)
    del array
    print(held() > size // 2)
print(held() < size // 2)
"""


@glibc
@pytest.mark.parametrize("wanted", [True, False])
def test_memory_is_kept_within_where_that_is_wanted_and_given_back_after(wanted: bool) -> None:
    # A process of its own: in another there is room among what was kept before.
    command = [sys.executable, "-c", KEPT.format(wanted=wanted)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.split() == [str(wanted), "True"]


FAULTS = """
import resource
import numpy as np
from ctloupe.foundation.kept_memory import keep_as_usual, kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(60):
        # Too small for a huge page.
        np.full(2**18, 1, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
{call}
print(faults())
"""


@glibc
@pytest.mark.parametrize(
    ("call", "environment"),
    [
        ("keep_as_usual()", {"MALLOC_TRIM_THRESHOLD_": "65536"}),
        ("with kept_memory(): pass", {}),
        ("with kept_memory(False): pass", {}),
    ],
)
def test_arrays_do_not_wait_for_pages_as_where_all_memory_is_given_back(call: str, environment: dict[str, str]) -> None:
    def faults(call: str, **environment: str) -> int:
        command = [sys.executable, "-c", FAULTS.format(call=call)]
        return int(subprocess.run(command, env=os.environ | environment, check=True, capture_output=True).stdout)

    assert 5 * faults(call, **environment) < faults("", MALLOC_TRIM_THRESHOLD_="65536")
