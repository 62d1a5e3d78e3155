"""Installs what it is given into the environment of the Python that runs it, as `pip install` would.

uv does it where there is one or pip can bring it: it asks the index many things at once and unpacks on all cores, in
a quarter of pip's time. It is told of what pip's own settings say; what it cannot do is left to pip.
"""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]

SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "cert": ("SSL_CERT_FILE", " "),
}
"""Variable of uv by setting of pip, and what stands between several values."""


def settings_of_pip() -> dict[str, str]:
    """Variables that tell uv what pip's files and variables tell pip; of one index the most particular."""
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
    lines = [line.partition("=") for line in listed.splitlines() if "='" in line]
    found: dict[str, list[str]] = {}
    for section in ("global.", "install.", ":env:."):
        for name, _, value in lines:
            if name.startswith(section):
                found.setdefault(name.removeprefix(section), []).extend(ast.literal_eval(value).split())
    for single in ("index-url", "no-index", "cert"):
        found[single] = found.get(single, [])[-1:]
    return {variable: between.join(found[name]) for name, (variable, between) in SETTINGS.items() if found.get(name)}


def uv() -> str | None:
    """The program, brought by pip where there is none."""
    own = Path(sysconfig.get_path("scripts")) / "uv"
    if not own.is_file() and not shutil.which("uv"):
        subprocess.run([*PIP, "install", "--quiet", "uv"], stderr=subprocess.DEVNULL)
    return str(own) if own.is_file() else shutil.which("uv")


def main() -> int:
    """Install by uv, or else by pip."""
    program = uv()
    if program:
        # As pip does: the best version of all indexes, where uv alone would take the first index that has any.
        command = [program, "pip", "install", "--quiet", "--python", sys.executable]
        environment = settings_of_pip() | {"UV_INDEX_STRATEGY": "unsafe-best-match"} | os.environ
        if subprocess.run([*command, *sys.argv[1:]], env=environment).returncode == 0:
            return 0
        print("uv could not install this: pip is asked", file=sys.stderr)
    # What is imported is compiled then; to compile everything at once takes a third of the installation.
    return subprocess.run([*PIP, "install", "--quiet", "--no-compile", *sys.argv[1:]]).returncode


if __name__ == "__main__":
    sys.exit(main())
