"""The line of the README that brings the CPU build of PyTorch brings it, where its index can be reached."""

import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def line_for_the_cpu():
    """The command of the first cell for pip."""
    (command,) = re.findall(r"^\| CPU alone \| `pip install (torch [^`]+)`", README, flags=re.M)
    return command.split()


def test_the_line_for_the_cpu_names_an_index_of_cpu_builds():
    assert line_for_the_cpu() == ["torch", "--index-url", "https://download.pytorch.org/whl/cpu"]


def test_the_line_for_the_cpu_brings_a_cpu_build_and_none_of_cuda():
    index = line_for_the_cpu()[-1]
    try:
        urllib.request.urlopen(f"{index}/torch/", timeout=5).close()
    except (urllib.error.URLError, OSError):
        pytest.skip(f"{index} cannot be reached from here")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", *line_for_the_cpu()]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    (installed,) = re.findall(r"^Would install (.*)$", told, flags=re.M)
    assert "+cpu" in installed and "nvidia" not in installed
