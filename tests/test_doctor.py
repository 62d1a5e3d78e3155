"""`doctor` tells of the memory that the work may use, and promises only what the package declares."""

import tomllib
from pathlib import Path

import pytest

from ctloupe import doctor
from ctloupe.foundation.memory import Memory
from ctloupe.networks.compiled import library

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_memory_is_what_the_rest_of_the_package_goes_by(monkeypatch):
    monkeypatch.setattr(doctor, "memory", lambda: Memory(total=8_000_000_000, available=3_000_000_000))
    facts = doctor.examine()
    assert facts["memory_gb"] == pytest.approx({"total": 8.0, "available": 3.0})
    assert any(line.startswith("3.0 GB of memory free") for line in facts["problems"])


def test_it_tells_whether_convolutions_are_compiled(monkeypatch):
    monkeypatch.setattr(library, "registers", lambda: (8,))
    assert doctor.examine()["convolutions"] == "compiled, 8 numbers at once"
    monkeypatch.setattr(library, "registers", lambda: ())
    monkeypatch.setattr(library, "is_compiled", lambda: False)
    assert "install a C compiler" in doctor.examine()["convolutions"]


def test_every_extra_that_is_promised_exists_and_brings_the_package():
    extras = PROJECT["optional-dependencies"]
    for one in doctor.examine()["extras"]:
        (name,) = [extra for extra in extras if one["need"] == f"pip install 'ctloupe[{extra}]'"]
        assert any(requirement.startswith(one["name"]) for requirement in extras[name])


def test_every_extra_for_users_is_told_of():
    told = " ".join(one["need"] for one in doctor.examine()["extras"])
    assert not [
        extra for extra in PROJECT["optional-dependencies"] if extra not in ("dev", "docs") and f"[{extra}]" not in told
    ]
