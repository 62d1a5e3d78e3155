"""A report as PDF, for those who file it: its page, printed by the Chromium or Chrome that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError, OptionError

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""Programs that print a page without a window, by their names on the path."""

PATIENCE_S: Final = 180.0
"""Seconds after which a browser that has not printed is ended."""

_BY_HAND: Final = "print report.html from any browser, its print style makes the PDF"

_DASHES: Final = "--"
"""What stands before a switch of the browser, which is no option of ours."""

_ALONE: Final = (
    "headless",
    "disable-gpu",
    "disable-dev-shm-usage",
    "disable-extensions",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "no-first-run",
    "no-pdf-header-footer",
)


def browser() -> str | None:
    """Return the path of the first of `BROWSERS` that is installed; None where none is."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def require_pdf() -> str:
    """Return the path of the browser that prints.

    Raises
    ------
    OptionError
        If none is installed.
    """
    found = browser()
    if found is None:
        raise OptionError(f"`pdf` needs Chromium or Chrome, and none is on the path; leave it out and {_BY_HAND}")
    return found


def write_pdf(page: str, path: Path, overwrite: bool = True) -> None:
    """Print a page of HTML to the file `path`.

    Raises
    ------
    OptionError
        If no browser is installed.
    FileError
        If `path` exists without `overwrite` or cannot be written, or if the browser does not print.
    """
    program = require_pdf()
    # A browser that was ended may still be writing its profile when the folder goes.
    alone = TemporaryDirectory(prefix="ctloupe-pdf-", ignore_cleanup_errors=True)
    with replacing(path, overwrite) as temporary, alone as folder:
        source, printed = Path(folder, "report.html"), Path(folder, "report.pdf")
        source.write_text(page, encoding="utf-8")
        said = _printed([program, *_switches(Path(folder, "profile"), printed), source.as_uri()])
        if said is not None or not printed.is_file():
            raise FileError(f"{path}: {program} did not print it ({said or 'it wrote no file'}); {_BY_HAND}")
        shutil.copyfile(printed, temporary)


def _switches(profile: Path, printed: Path) -> list[str]:
    # Chromium refuses to run as root with its sandbox; anybody else keeps it.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    own = (f"user-data-dir={profile}", f"print-to-pdf={printed}", *(("no-sandbox",) if root else ()))
    return [_DASHES + name for name in (*_ALONE, *own)]


def _printed(command: list[str]) -> str | None:
    """Run the browser; return what went wrong, in a few words."""
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return f"it took more than {PATIENCE_S:g} s"
    except OSError as error:
        return str(error)
    return None if done.returncode == 0 else f"exit code {done.returncode}"
