"""`ctloupe data` as typed by a user."""

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ctloupe.cli import progress
from ctloupe.cli.main import main
from ctloupe.datasets.recipe import names
from file_server import FileServer, serving

DOCS = Path(__file__).resolve().parents[2] / "docs"
CONTENT = bytes(range(256)) * 1000


def test_the_sets_are_listed_and_shown(ctloupe):
    printed = ctloupe("data", "list")
    assert all(re.search(rf"^{name} +\S", printed, flags=re.M) for name in names())
    shown = ctloupe("data", "show", "vodasure")
    assert "licence" in shown and "address not tried here" in shown and "then:\n  ctloupe prepare" in shown
    assert json.loads(ctloupe("data", "show", "vodasure", "--json"))["name"] == "vodasure"
    assert printed.count("address not tried here") == len(names())
    assert [one["name"] for one in json.loads(ctloupe("data", "list", "--json"))] == names()


def test_listing_sets_imports_neither_torch_nor_what_downloads():
    code = "import sys; sys.argv=['ctloupe','data','list']\nfrom ctloupe.cli.main import app\n"
    code += "try: app()\nexcept SystemExit: pass\nassert not {'torch', 'requests', 'pooch'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "luna16" in done.stdout, done.stderr


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A recipe of two small files of a server, one of which has no size; and the folder to work in."""
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(FileServer({"one.bin": CONTENT, "two.bin": CONTENT[:500]})) as server:
        page = (DOCS / "data.md").read_text(encoding="utf-8")
        recipe = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", page, flags=re.S)[0])
        recipe["files"] = [
            {"name": "one.bin", "address": server.address("one.bin"), "checksum": hashlib.md5(CONTENT).hexdigest()},
            {"name": "two.bin", "address": server.address("two.bin"), "size": 500},
        ]
        recipe["files"][0]["checksum"] = f"md5:{recipe['files'][0]['checksum']}"
        del recipe["holds"]
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        yield tmp_path


def test_how_much_has_come_is_said_where_nobody_knows_how_much_there_is(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    bar = progress.ConsoleProgress()
    bar.start("scan.nii.gz", 0)
    bar.update(3_000_000, "3.0 MB")
    bar.close()
    assert capsys.readouterr().err == "scan.nii.gz: 3.0 MB so far\n"


def refused(monkeypatch, capsys, *arguments):
    """What a command says that ends with status 2."""
    monkeypatch.setattr(sys, "argv", ["ctloupe", "data", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_a_set_of_ones_own_comes_with_its_terms_and_what_to_do_then(own, monkeypatch, capsys):
    told = []
    for options in (["--yes"], []):
        monkeypatch.setattr(sys, "argv", ["ctloupe", "data", "get", "own.yaml", "--out", "set", *options])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
        told.append(capsys.readouterr())
    assert told[0].out == "set/dataset.json\n"
    assert "licence   CC BY 4.0" in told[0].err and "one.bin: 100%" in told[0].err
    assert told[0].err.endswith("then:\n  ctloupe prepare --clinical clinical --micro set/micro --out bank\n")
    assert (own / "set" / "one.bin").read_bytes() == CONTENT
    assert "was there already" in told[1].err


def test_an_unknown_size_is_refused_where_nobody_can_be_asked(own, monkeypatch, capsys):
    told = refused(monkeypatch, capsys, "get", "own.yaml", "--out", "set")
    assert "500 bytes and 1 file(s) of unknown size would be fetched" in told and "so give --yes" in told
    assert not (own / "set").exists()


def test_an_unknown_size_is_asked_about_on_a_terminal(own):
    terminal, inside = pty.openpty()
    command = [sys.executable, "-c", "from ctloupe.cli.main import main; main()", "data", "get", "own.yaml"]
    process = subprocess.Popen([*command, "--out", "set"], stdin=inside, stderr=inside, stdout=subprocess.DEVNULL)
    os.close(inside)
    os.write(terminal, b"y\n")
    told = b""
    try:
        while block := os.read(terminal, 4096):
            told += block
    except OSError:
        pass  # Linux ends a terminal whose other side is closed with an error.
    os.close(terminal)
    assert process.wait(30) == 0, told
    assert b"Fetch 500 bytes and 1 file(s) of unknown size into set?" in told and (own / "set" / "one.bin").exists()


def test_a_set_by_hand_prints_its_steps_and_a_wrong_name_those_that_are_there(tmp_path, monkeypatch, capsys):
    told = refused(monkeypatch, capsys, "get", "ear-pairs", "--out", tmp_path / "ears")
    assert f"3. ctloupe data get ear-pairs --out {tmp_path / 'ears'} --from DOWNLOADED" in told
    assert told.splitlines()[-1].endswith("give the folder that it was fetched to with --from")
    assert not (tmp_path / "ears").exists()
    told = refused(monkeypatch, capsys, "get", "mars", "--out", tmp_path / "mars")
    assert told.startswith("ctloupe: no data set is called 'mars'; there are: aeropath")


def test_the_recipe_of_the_docs_is_one_and_the_table_there_names_every_set(tmp_path, ctloupe):
    page = (DOCS / "data.md").read_text(encoding="utf-8")
    path = tmp_path / "our-set.yaml"
    path.write_text(re.findall(r"```yaml\n(.*?)```", page, flags=re.S)[0], encoding="utf-8")
    assert "specimen-1.nii.gz" in ctloupe("data", "show", path)
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} >= set(names())
