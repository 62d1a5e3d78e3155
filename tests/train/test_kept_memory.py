"""Memory that is kept for the next step is given back at the end."""

from __future__ import annotations

import platform
import sys

import psutil
import pytest
import torch

from ctloupe.train.kept_memory import kept_memory


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="the allocator is that of another system"
)
def test_memory_is_kept_within_and_given_back_after() -> None:
    process, size = psutil.Process(), 64 * 2**20
    before = process.memory_info().rss
    with kept_memory():
        tensor = torch.ones(size // 4)
        del tensor
        assert process.memory_info().rss - before > size // 2
    assert process.memory_info().rss - before < size // 2
