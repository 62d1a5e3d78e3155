"""A command's process does not go through the libraries' objects again and again."""

import subprocess
import sys

import pytest

RINGS = """
import gc
from ctloupe.foundation.garbage import collect_seldom

class Ring:
    def __init__(self, name):
        self.name, self.itself = name, self

    def __del__(self):
        print(self.name)

{call}
gone_through = gc.get_stats()[2]["collections"]
library = [[] for _ in range(500_000)]
print(gc.get_stats()[2]["collections"] - gone_through)
Ring("young")
steps = [[] for _ in range(10_000)]
print("end")
old = Ring("old")
"""


def told(call: str) -> list[str]:
    command = [sys.executable, "-c", RINGS.format(call=call)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("call", ["collect_seldom()", "collect_seldom(); collect_seldom()"])
def test_what_is_young_is_given_back_at_once_and_what_stays_is_not_gone_through(call):
    assert told(call) == ["0", "young", "end"]


def test_python_goes_through_it_by_itself():
    times, *rest = told("")
    assert int(times) > 0 and rest == ["young", "end", "old"]
