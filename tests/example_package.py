"""The package that a page of the documentation shows, installed in a folder, and the command line that sees it."""

import os
import re
from pathlib import Path

from warm_process import run_python

DOCS = Path(__file__).resolve().parents[1] / "docs"


def code_of(page):
    """The Python of a page: its blocks one after the other are one module."""
    return "\n\n".join(re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.S))


def installed(page, site):
    """Install the example of a page into the folder `site`; return a function that runs a command of ctloupe there."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (toml,) = re.findall(r"```toml\n(.*?)```", text, flags=re.S)
    group, name, target = re.search(r'entry-points\."(\S+)"\]\n(\S+) = "([^"]+)"', toml).groups()
    module = site.joinpath(*target.split(":")[0].split(".")).with_suffix(".py")
    module.parent.mkdir(parents=True)
    (module.parent / "__init__.py").touch()
    module.write_text(code_of(page), encoding="utf-8")
    record = site / "my_package-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n")

    def run(*arguments, folder=None):
        done = run_python("-m", "ctloupe.cli.main", *arguments, cwd=folder, path=[site])
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def environment(site):
    """Return the variables of a process that finds the packages in the folder `site`."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))}


def commands(page):
    """Commands that only run where the example of the page is installed, split into arguments."""
    (block,) = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.S)
    return [line.split()[1:] for line in block.splitlines()]
