"""Work by threads beside the reading: in order, few items ahead, and errors reach who asked."""

import threading

import pytest

from ctloupe.foundation.beside import cores, each_beside


def test_results_come_in_order_and_are_those_of_a_loop():
    assert list(each_beside(lambda one: one**2, range(50))) == [one**2 for one in range(50)]
    assert list(each_beside(lambda one: one, [])) == []
    assert cores() >= 1


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_few_items_are_made_before_results_are_taken(threads):
    made, taken = [], 0

    def items():
        for one in range(30):
            made.append(one)
            yield one

    for _ in each_beside(lambda one: one, items(), threads):
        taken += 1
        assert len(made) - taken <= threads + 1
    assert taken == 30


def test_the_callers_thread_makes_the_items_and_others_work_on_them():
    here, makers, workers = threading.get_ident(), set(), set()

    def items():
        for one in range(4):
            makers.add(threading.get_ident())
            yield one

    list(each_beside(lambda one: workers.add(threading.get_ident()), items()))
    assert makers == {here} and here not in workers


@pytest.mark.parametrize("where", ["work", "items"])
def test_an_error_reaches_the_caller(where):
    def items():
        yield 1
        if where == "items":
            raise ValueError("broken")
        yield 0

    with pytest.raises((ValueError, ZeroDivisionError)):
        list(each_beside(lambda one: 1 / one, items()))
