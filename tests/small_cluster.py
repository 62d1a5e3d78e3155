"""A Dask scheduler with two workers, each a process without a nanny to bring it back."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager


@contextmanager
def small_cluster(folder):
    """Yield the address of the scheduler, and its worker processes."""
    address = folder / "scheduler.json"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "env": environment}
    python = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = subprocess.Popen(
        [*python, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address)], **quiet
    )
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(address)]
    workers = [
        subprocess.Popen([*worker, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", str(one)], **quiet)
        for one in range(2)
    ]
    try:
        for _ in range(600):
            if address.exists():
                break
            time.sleep(0.1)
        yield json.loads(address.read_text())["address"], workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
