"""The tutorial runs from its first cell to its last, and the copy that is kept shows what it shows.

The usual run takes the cells as one program with fewer steps; a notebook is run by `make test-thorough`.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
TUTORIAL = DOCS / "tutorial.ipynb"


def shown(notebook):
    """Kinds of what each cell of code shows, without what is drawn or said on the way."""
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    return [sorted({kind for one in cell["outputs"] for kind in one.get("data", {"text/plain": ""})}) for cell in cells]


def test_the_kept_copy_is_small_and_names_no_folder_of_the_machine_it_ran_on():
    text = TUTORIAL.read_text(encoding="utf-8")
    assert len(text) < 300_000
    assert not [place for place in ("/tmp/", "/home/", "/root/", "Traceback") if place in text]
    assert "ctloupe.view(scan, enhanced)" in text


@pytest.mark.slow
def test_every_cell_runs_with_fewer_steps(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cells = json.loads(TUTORIAL.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert "SIZE = (16, 192, 192)" in text and "STEPS = 20 " in text
    text = text.replace("SIZE = (16, 192, 192)", "SIZE = (16, 128, 128)").replace("STEPS = 20 ", "STEPS = 2 ")
    names = {"__name__": "tutorial"}
    exec(compile(text, str(TUTORIAL), "exec"), names)
    printed = capsys.readouterr().out
    assert names["enhanced"].shape[1] > names["scan"].shape[1] and "model.json" in printed
    # What the kept copy prints at its end, in the same rows.
    assert [line.split(":")[0] for line in printed.splitlines()[-len(names["found"].rows) :]] == [
        f"{row:>8}" for row in names["found"].rows
    ]


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.skipif(
    not all(map(find_spec, ("nbclient", "ipykernel"))),
    reason="nbclient or ipykernel is not installed: no notebook runs",
)
def test_every_cell_runs_and_shows_what_the_kept_copy_shows(tmp_path):
    command = [sys.executable, DOCS / "site" / "tutorial.py", "--out", tmp_path / "tutorial.ipynb"]
    # What it makes goes where the tests clean up.
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert shown(tmp_path / "tutorial.ipynb") == shown(TUTORIAL)
    assert any("image/png" in kinds for kinds in shown(TUTORIAL))
