"""Who is told how far long work is."""

import pytest

from ctloupe.foundation.progress import underway


class Heard:
    def __init__(self):
        self.lines = []

    def start(self, what, total):
        self.lines.append((what, total))

    def update(self, done, note=""):
        self.lines.append((done, note))

    def close(self):
        self.lines.append("closed")


def test_a_bar_is_begun_told_and_ended():
    heard = Heard()
    with underway(heard, "reading", 2) as tell:
        tell(1)
        tell(2, "last")
    assert heard.lines == [("reading", 2), (1, ""), (2, "last"), "closed"]


def test_a_bar_is_ended_when_the_work_fails():
    heard = Heard()
    with pytest.raises(ValueError, match="broken"), underway(heard, "reading", 2):
        raise ValueError("broken")
    assert heard.lines[-1] == "closed"


def test_nobody_needs_to_be_told():
    with underway(None, "reading", 2) as tell:
        tell(1, "half")
