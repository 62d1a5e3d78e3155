"""Messages name options in backquotes under their Python name, and whoever prints them writes them their own way."""

from ctloupe.foundation.errors import OptionError, with_options


def test_an_error_knows_the_option_that_it_names_first():
    assert OptionError("`voxel_size` 1,1: expected three numbers, or give `series`").option == "voxel_size"
    assert OptionError("no such file").option is None


def test_options_are_written_as_the_caller_wishes_and_other_backquotes_stay():
    told = with_options("`voxel_size` and `series` beside `A B`", lambda name: f"<{name}>")
    assert told == "<voxel_size> and <series> beside `A B`"
