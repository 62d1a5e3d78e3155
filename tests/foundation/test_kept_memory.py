"""Memory that is kept for what comes next is given back at the end."""

from __future__ import annotations

import platform
import sys

import numpy as np
import psutil
import pytest

from ctloupe.foundation.kept_memory import kept_memory


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="the allocator is that of another system"
)
@pytest.mark.parametrize("wanted", [True, False])
def test_memory_is_kept_within_where_that_is_wanted_and_given_back_after(wanted: bool) -> None:
    process, size = psutil.Process(), 64 * 2**20
    before = process.memory_info().rss
    with kept_memory(wanted):
        array = np.full(size // 4, 1, np.float32)
        del array
        assert (process.memory_info().rss - before > size // 2) is wanted
    assert process.memory_info().rss - before < size // 2
