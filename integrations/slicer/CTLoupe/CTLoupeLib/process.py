"""The command in a process of its own, whose lines are asked for now and then."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

# Other lines hold shares too, as "skipped: 3% of the tiles".
_SHARE = re.compile(r"[^:]+: (\d{1,3})%(?:$|,)")


def share_of(line: str) -> float | None:
    """Return how much a line of progress, such as ``enhancing: 43%, about 5 s left``, says is done; None: nothing."""
    found = _SHARE.match(line)
    return min(int(found.group(1)), 100) / 100 if found else None


class EnhanceProcess:
    """A command that runs beside Slicer.

    Parameters
    ----------
    command
        Program and arguments. No shell sees them.
    environment
        Its whole environment; see `command.clean_environment`.

    Attributes
    ----------
    share
        How much is done, 0 to 1, as far as its lines have been read.
    cancelled
        Whether it was asked to end.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.share = 0.0
        self.cancelled = False
        self.last = ""
        self._lines: queue.Queue[str] = queue.Queue()
        self._process: subprocess.Popen[str] = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            bufsize=1,
            # No console window beside Slicer on Windows.
            creationflags=0x08000000 if sys.platform == "win32" else 0,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether it still runs, or has said what was not read yet."""
        return self._process.poll() is None or self._reader.is_alive()

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        return self._process.poll() == 0

    def lines(self) -> list[str]:
        """Return what it has said since the last call."""
        found: list[str] = []
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return found
            share = share_of(line)
            self.share = self.share if share is None else share
            self.last = line
            found.append(line)

    def failure(self) -> str:
        """Return one line on why it did not end well: its own last one, which names file or option."""
        if self.cancelled:
            return "cancelled; nothing is loaded"
        return self.last or f"ctloupe ended with status {self._process.poll()} and said nothing"

    def cancel(self) -> None:
        """Ask it to end, which removes what it had begun; a second time it is not asked."""
        if self.cancelled:
            self._process.kill()
        else:
            self.cancelled = True
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for its end.

        Raises
        ------
        subprocess.TimeoutExpired
            If it does not come in so many seconds.
        """
        self._process.wait(seconds)
        self._reader.join(seconds)

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            for line in stream:
                if line.strip():
                    self._lines.put(line.rstrip())
