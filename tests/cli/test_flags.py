"""Options in messages are written as the running verb writes them."""

import sys

import pytest

from ctloupe.cli.flags import as_flags


@pytest.fixture
def running(monkeypatch):
    """A function that sets the command line that is running."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["ctloupe", *words])

    return run


@pytest.mark.parametrize(
    ("words", "text", "written"),
    [
        (["enhance", "scan"], "`accept_spacing` and `out`", "--accept-spacing and --out"),
        (["--debug", "enhance"], "give `roi`", "give --roi"),
        (["study", "run", "table"], "go on with `resume`", "go on with --resume"),
        (["study", "report", "folder"], "give another `out`", "give another OUT"),
        (["prepare"], "`patch_size` 3", "--patch 3"),
        (["train"], "`start_from` run", "--from run"),
        (["train"], "`changes` key", "--set key"),
        (["enhance"], "`scan` and `format`", "INPUT and --format"),
        (["evaluate"], "`input` is needed", "--input is needed"),
        (["compare"], "no `records`", "no METRICS"),
    ],
)
def test_an_option_is_what_the_running_verb_calls_it(running, words, text, written):
    running(*words)
    assert as_flags(text) == written


@pytest.mark.parametrize(("verb", "name"), [("enhance", "epochs"), ("prepare", "mask"), ("compare", "epochs")])
def test_an_option_of_another_verb_is_not_written_as_a_flag(running, verb, name):
    running(verb)
    assert as_flags(f"give `{name}`") == f"give `{name}`"


def test_after_the_name_of_a_verb_its_options_are_meant(running):
    running("train", "--bank", "bank")
    said = "`epochs` 3; run 'ctloupe prepare' with `patch_size` 32 `scale` 8"
    assert as_flags(said) == "--epochs 3; run 'ctloupe prepare' with --patch 32 --scale 8"


@pytest.mark.parametrize("words", [(), ("nonsense",), ("--version",)])
def test_where_no_verb_is_running_any_flag_will_do(running, words):
    running(*words)
    assert as_flags("`epochs`, `accept_spacing`, `out`, `nonsense`") == "--epochs, --accept-spacing, --out, `nonsense`"
