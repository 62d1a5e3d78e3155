"""Pieces of work by one process and by several."""

import multiprocessing
import sys
import time

import pytest

import small_work
from ctloupe.foundation.errors import MissingExtraError, OptionError
from ctloupe.foundation.workers import Workers


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_items_and_all_of_it_is_told(processes):
    told = []
    found = list(Workers(processes).each(small_work.squared, [0, 1, 2, 3], told.append))
    assert found == [0, 1, 4, 9]
    assert told == sorted(told) and told[-1] == 4


def test_the_share_of_what_is_begun_counts():
    told = []
    list(Workers().each(small_work.squared, [1, 2], told.append))
    assert told == [0.5, 1, 1.5, 2]


def test_an_error_in_another_process_is_the_error_here():
    with pytest.raises(OptionError, match="`item` 1: expected another"):
        list(Workers(2).each(small_work.refused, [1, 2]))


@pytest.mark.slow
def test_a_process_that_is_ended_from_outside_is_told_in_one_line():
    with pytest.raises(OptionError, match="`processes` 2: one of them was ended"):
        list(Workers(2).each(small_work.killed, [1, 2]))


def test_who_has_enough_stops_the_others_at_once_and_silently(capfd):
    results = Workers(2).each(small_work.slow, [0, 60, 60, 60])
    begun = time.monotonic()
    assert next(results) == 0
    results.close()
    assert time.monotonic() - begun < 30
    assert multiprocessing.active_children() == []
    assert capfd.readouterr().err == ""


def test_without_dask_the_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ctloupe\[cluster\]'"):
        list(Workers(scheduler="tcp://127.0.0.1:9").each(small_work.squared, [1]))
