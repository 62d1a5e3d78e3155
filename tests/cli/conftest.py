"""The command line, run in this process."""

import sys

import pytest

from ctloupe.cli.main import main


@pytest.fixture
def ctloupe(monkeypatch, capsys):
    """A function that runs the command line and returns its standard output."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ctloupe", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            assert not stop.code, capsys.readouterr().err
        return capsys.readouterr().out

    return call
