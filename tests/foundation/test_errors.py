"""Messages name options in backquotes under their Python name, and whoever prints them writes them their own way."""

from ctloupe.foundation.errors import OptionError, with_options


def test_an_error_knows_the_option_that_it_names_first():
    assert OptionError("`voxel_size` 1,1: expected three numbers, or give `series`").option == "voxel_size"
    assert OptionError("no such file").option is None


def test_a_message_is_one_line_whatever_it_quotes():
    assert str(OptionError("no anatomy is called '\x1b[31mred\n'")) == r"no anatomy is called '\x1b[31mred\n'"


def test_a_message_that_quotes_a_book_keeps_its_beginning_and_end():
    told = str(OptionError(f"no method is called '{'x' * 100_000}'; there are: unet"))
    assert len(told) < 2000 and told.startswith("no method is called 'x") and told.endswith("x'; there are: unet")


def test_options_are_written_as_the_caller_wishes_and_other_backquotes_stay():
    told = with_options("`voxel_size` and `series` beside `A B`", lambda name: f"<{name}>")
    assert told == "<voxel_size> and <series> beside `A B`"
