"""Runs the tutorial and keeps what its cells show: ``python docs/site/tutorial.py``, or a copy of it with ``--out``."""

from __future__ import annotations

import argparse
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

TUTORIAL = Path(__file__).resolve().parents[1] / "tutorial.ipynb"


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a notebook as it is after its cells have run, without what changes from run to run.

    Raises
    ------
    CellExecutionError
        If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    # Sockets of files, not of a network: nobody else can speak to the kernel.
    kernel = AsyncKernelManager(kernel_name="python3", transport="ipc")
    client = NotebookClient(notebook, km=kernel, timeout=600, record_timing=False)
    client.owns_km = True
    client.execute()
    for output in (one for cell in notebook.cells for one in cell.get("outputs", ())):
        if "image/png" in output.get("data", {}):
            output.data.pop("image/jpeg", None)
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
    return notebook


def main() -> None:
    """Run it, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=TUTORIAL)
    nbformat.write(executed(TUTORIAL), parser.parse_args().out)


if __name__ == "__main__":
    main()
