"""A study says how long it will take."""

from ctloupe.studies.expected import Expected


def test_minutes_of_all_trainings_are_added_up_before_the_first():
    assert Expected(40, 10).in_words() == "40 trainings of 10 min, 6.7 h, and what measuring takes"
    assert Expected(1, 1).in_words() == "1 training of 1 min, 60 s, and what measuring takes"


def test_steps_say_nothing_of_time_before_the_first_training():
    assert Expected(3, None).in_words() == "3 trainings; how long they take is known after the first"


def test_what_is_left_follows_from_what_was_done():
    now = iter([0.0, 120.0, 200.0, 300.0])
    expected = Expected(3, None, lambda: next(now))
    assert expected.after_one_more() == "1 of 3 trainings done, about 4 min left"
    assert expected.after_one_more() == "2 of 3 trainings done, about 2 min left"
    assert expected.after_one_more() == "3 of 3 trainings done"
