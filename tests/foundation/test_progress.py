"""Who is told how far long work is."""

import pytest

from ctloupe.foundation.progress import shown_on, stretch, tracked, underway


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


def test_stretches_are_told_of_where_somebody_listens_and_those_inside_of_them_are_not():
    heard = Heard()
    with shown_on(heard), stretch("a volume", 2) as tell:
        assert list(tracked(["a", "b"], "its slices")) == ["a", "b"]
        tell(2)
    assert heard.lines == [("a volume", 2), (2, ""), "closed"]


def test_an_item_is_told_of_when_it_is_finished():
    heard = Heard()
    with shown_on(heard):
        for one in tracked("ab", "letters"):
            heard.lines.append(one)
    assert heard.lines == [("letters", 2), "a", (1, ""), "b", (2, ""), "closed"]


def test_nobody_is_told_outside_of_a_block():
    heard = Heard()
    with shown_on(heard):
        pass
    assert list(tracked([1], "numbers")) == [1] and not heard.lines
