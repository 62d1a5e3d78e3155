"""The lock file, the constraints and the dependencies of the package say the same."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {"torch"}
"""Packages whose build is each user's choice."""


def pins(file):
    """Version by canonical name of every line ``name==version``."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([A-Za-z0-9._-]+)==([^\s\\;]+)", line) for line in lines)
    return {canonicalize_name(one[1]): one[2] for one in found if one}


def test_the_lock_holds_what_the_constraints_name_in_the_same_versions_and_nothing_else():
    constraints = pins("constraints.txt")
    assert constraints.keys() >= LEFT_OUT
    assert pins("requirements.lock") == {k: v for k, v in constraints.items() if k not in LEFT_OUT}


def test_the_constraints_name_each_package_once():
    names = [line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()]
    assert len(names) == len({canonicalize_name(name) for name in names})


def test_every_locked_package_has_a_hash():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text)[1:]
    assert len(entries) == len(pins("requirements.lock"))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_every_dependency_and_extra_is_pinned_within_its_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    asked = [Requirement(one) for one in [*project["dependencies"], *(each for extra in extras for each in extra)]]
    constraints = pins("constraints.txt")
    for one in asked:
        if one.name != project["name"]:
            assert one.specifier.contains(constraints[canonicalize_name(one.name)]), one
