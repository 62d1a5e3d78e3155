"""The built wheel, installed where nothing of this folder is seen, holds its data and runs its commands.

They run in one process, since to import the libraries takes longer than most of what they do, and without a network.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def done(*command, cwd, **environment):
    """Run a command without the environment of the tests, and return what it printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    found = subprocess.run([*map(str, command)], cwd=cwd, env=kept | environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy, since building leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done(*pip, "--wheel-dir", folder, source, cwd=folder)
    return next(folder.glob("ctloupe-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel, which sees the dependencies of this one but not its editable install."""
    folder = tmp_path_factory.mktemp("clean")
    done(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    done(*pip, wheel, cwd=folder)
    packages = Path(done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # A folder named in a .pth file is searched, but .pth files within it, as an editable install leaves, are not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "venv" / "bin"


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    source = ROOT / "src"
    files = (
        path
        for path in (source / "ctloupe").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    )
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {path.relative_to(source).as_posix() for path in files if path.suffix != ".so"} <= held
    assert not [name for name in held if name.startswith("tests/")]


def test_the_source_distribution_is_the_whole_checkout(tmp_path):
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("this is no checkout: nothing says which files belong to it")
    tracked = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    source = tmp_path / "source"
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    # What a build leaves behind does not belong to it.
    (source / "src" / "ctloupe" / "__pycache__").mkdir()
    (source / "src" / "ctloupe" / "__pycache__" / "left.pyc").touch()
    build = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    done(sys.executable, "-c", build, tmp_path, cwd=source)
    with tarfile.open(next(tmp_path.glob("ctloupe-*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked <= held
    assert not [name for name in held if name.endswith(".pyc")]


def test_the_installed_package_is_the_one_that_runs(installed, tmp_path):
    where = done(installed / "python", "-c", "import ctloupe; print(ctloupe.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)


OFFLINE = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        raise SystemExit(f"asked the network: {event} {arguments[1:]}")

sys.addaudithook(refuse)
"""

IN_ONE_PROCESS = """
from ctloupe.cli.main import app

for command in sys.argv[1:]:
    app(command.split(), standalone_mode=False)
    print(end=chr(0))
"""

COMMANDS = [
    "doctor --json",
    "models",
    "study list",
    "phantom --size 16 96 96 --seed 1 --out phantom",
    "inspect phantom/clinical.nii.gz",
    "enhance phantom/clinical.nii.gz -o fine.nii.gz --model bicubic --mask none",
    "evaluate --input phantom/clinical.nii.gz --output fine.nii.gz --truth phantom/truth.nii.gz --out judged --json",
]


@pytest.fixture(scope="module")
def printed(installed, tmp_path_factory):
    """What each command printed, by its first word, of a process that would have ended at a word to the network."""
    folder = tmp_path_factory.mktemp("offline")
    texts = done(installed / "python", "-c", OFFLINE + IN_ONE_PROCESS, *COMMANDS, cwd=folder).split(chr(0))
    assert (folder / "judged" / "report.html").is_file()
    return dict(zip((command.split()[0] for command in COMMANDS), texts, strict=False))


def test_its_commands_run(installed, printed, tmp_path):
    assert "enhance" in done(installed / "ctloupe", "--help", cwd=tmp_path)
    assert "physics-srgan" in printed["models"]
    assert "jmi-table3" in printed["study"]
    assert json.loads(printed["evaluate"])["rows"]


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_what_is_compiled_is_in_it_and_found(wheel, printed):
    assert "-abi3-" in wheel.name
    libraries = {name.rsplit("/", 1)[0] for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")}
    assert libraries == {"ctloupe/networks/compiled", "ctloupe/evaluate/compiled"}
    assert "install a C compiler" not in json.loads(printed["doctor"])["convolutions"]


def test_no_command_speaks_to_a_network_unasked(printed):
    # All of them came to their end, where a word to the network would have ended the process.
    assert printed.keys() == {command.split()[0] for command in COMMANDS}


def test_what_asks_the_network_would_be_seen(tmp_path):
    code = OFFLINE + "import socket; socket.getaddrinfo('localhost', 80)"
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode != 0 and "asked the network: socket.getaddrinfo" in found.stderr
