"""Packages, and megabytes on the disk, that an installation without extras brings in this environment.

python benchmarks/installed.py [PYPROJECT]
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

OWN = Path(__file__).resolve().parents[1] / "pyproject.toml"


def installed(requirements: list[str], extras: tuple[str, ...] = ()) -> dict[str, int]:
    """Return the size of each package that the requirements lead to, by name; those that are absent are left out."""
    found: dict[str, int] = {}
    waiting = [(one, extras) for one in requirements]
    while waiting:
        text, asked = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": one}) for one in ("", *asked)):
            continue
        try:
            package = distribution(requirement.name)
        except PackageNotFoundError:
            continue
        name = package.metadata["Name"].lower().replace("_", "-")
        if name not in found:
            found[name] = sum(file.size or 0 for file in package.files or [])
            waiting += [(one, tuple(requirement.extras)) for one in package.requires or []]
    return found


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else OWN
    found = installed(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"])
    total = sum(found.values()) / 1e6
    print(f"{len(found)} packages, {total:.0f} MB, of which torch {found.get('torch', 0) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
