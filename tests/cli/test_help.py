"""The help of the verbs, and the completion of their names."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest
import typer.main

from ctloupe.cli.help import with_examples
from ctloupe.cli.main import app

SHORT = typer.main.get_command(app)


def verbs(command, words=("ctloupe",)):
    """Every verb with the words that call it."""
    for name, one in getattr(command, "commands", {}).items():
        yield (*words, name), one
        yield from verbs(one, (*words, name))


@pytest.mark.parametrize(("words", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in verbs(SHORT)])
def test_examples_stand_on_lines_of_their_own_and_begin_with_their_verb(words, command):
    told = command.help or ""
    assert "Example: " not in told
    for line in told.partition("\b")[2].splitlines()[2:]:
        assert line.startswith("  ctloupe ") or not line.strip(), line


def test_a_text_without_examples_is_left_as_it_is():
    assert with_examples("Say it.\n\nAt length.") == "Say it.\n\nAt length."


def test_several_examples_are_lines_of_one_paragraph():
    assert with_examples("Say it.\n\nExample: a b\nExample: c") == "Say it.\n\n\b\nExamples:\n  a b\n  c"


def in_a_shell(tmp_path, *arguments, **environment):
    """What a fresh process of the command prints."""
    command = [sys.executable, "-c", "from ctloupe.cli.main import main; main()", *arguments]
    told = subprocess.run(
        command, env=os.environ | {"HOME": str(tmp_path)} | environment, capture_output=True, text=True, timeout=60
    )
    return told.stdout


def test_the_shell_completes_verbs(tmp_path):
    found = in_a_shell(tmp_path, _CTLOUPE_COMPLETE="complete_bash", COMP_WORDS="ctloupe en", COMP_CWORD="1")
    assert found.split() == ["enhance"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_completion_can_be_installed(tmp_path):
    # Which shell it is for is asked of the process above; a shell that has more to do stays that.
    code = f"{shlex.quote(sys.executable)} -c 'from ctloupe.cli.main import main; main()' --install-completion; true"
    environment = os.environ | {"HOME": str(tmp_path), "SHELL": "/bin/bash"}
    told = subprocess.run(["bash", "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "bash completion installed" in told.stdout, told.stderr
    assert "_CTLOUPE_COMPLETE" in (tmp_path / ".bash_completions" / "ctloupe.sh").read_text()
