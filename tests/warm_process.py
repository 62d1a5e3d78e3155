"""Processes of their own that need not import the libraries first, which takes longer than most of what they do.

The commands are run as `python -m MODULE` and `python SCRIPT` are; only libraries are there already, nothing of ours.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

LIBRARIES = [
    "jinja2",
    "lightning_fabric",
    "matplotlib.figure",
    "nibabel",
    "pydantic",
    "pydicom",
    "scipy.ndimage",
    "scipy.stats",
    "SimpleITK",
    "skimage.metrics",
    "skimage.morphology",
    "tifffile",
    "torch._dynamo",
    "typer",
    "zarr",
]


def warm_context():
    """What starts processes that have the libraries already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    return context


def run_python(*arguments, cwd=None, path=()):
    """Run `python ARGUMENTS` (a script, or `-m` and a module), with the folders of `path` before the others.

    Returns the completed process, with its output as text.
    """
    context = warm_context()
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / name for name in ("stdout", "stderr")]
        process = context.Process(target=_become, args=([*map(str, arguments)], cwd, [*map(str, path)], outputs))
        process.start()
        process.join()
        texts = [one.read_text(encoding="utf-8") if one.exists() else "" for one in outputs]
    return CompletedProcess(arguments, process.exitcode, *texts)


def _become(arguments, cwd, path, outputs):
    """Run the script or module with its output in files, as if it were the process's own."""
    for number, output in enumerate(outputs, start=1):
        os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
        setattr(sys, ("stdout", "stderr")[number - 1], os.fdopen(number, "w", encoding="utf-8", closefd=False))
    os.chdir(cwd or Path.cwd())
    sys.path[:0] = path
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).parent))
        runpy.run_path(arguments[0], run_name="__main__")
