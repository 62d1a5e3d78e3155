"""Durations and sizes are said as people say them."""

import pytest

from ctloupe.foundation.amounts import duration_in_words, size_in_words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_durations_are_said_in_words(seconds, words):
    assert duration_in_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (2_100_000_000, "2.1 GB"), (119e9, "119 GB"), (2e12, "2.0 TB")],
)
def test_sizes_are_said_in_words(size, words):
    assert size_in_words(size) == words
