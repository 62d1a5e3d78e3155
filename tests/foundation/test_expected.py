"""A study and a suite say how long they will take."""

from ctloupe.foundation.expected import Expected


def test_seconds_of_all_pieces_are_added_up_before_the_first():
    assert Expected(40, 600).in_words() == "40 trainings, about 6.7 h"
    assert Expected(1, 60, "case").in_words() == "1 case, about 60 s"


def test_steps_say_nothing_of_time_before_the_first_training():
    assert Expected(3, None).in_words() == "3 trainings; how long they take is known after the first"


def test_what_is_left_follows_from_what_was_done():
    now = iter([0.0, 120.0, 200.0, 300.0])
    expected = Expected(3, None, clock=lambda: next(now))
    assert expected.after_one_more() == "1 of 3 trainings done, about 4 min left"
    assert expected.after_one_more() == "2 of 3 trainings done, about 2 min left"
    assert expected.after_one_more() == "3 of 3 trainings done"
