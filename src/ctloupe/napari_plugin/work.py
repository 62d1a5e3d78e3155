"""An enhancement in a thread of its own, which whoever shows it asks now and then how far it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread

from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.foundation.errors import Interrupted


class BackgroundWork:
    """An enhancement that runs beside the windows of a program.

    Parameters
    ----------
    request
        What is enhanced, and how.
    finish
        Called in the thread at the very end, whatever came of it: what cleans up.

    Attributes
    ----------
    share
        How much is done, 0 to 1.
    error
        What ended the work before its time; None: nothing did.
    """

    def __init__(self, request: EnhanceRequest, finish: Callable[[], None] = lambda: None) -> None:
        self.request = request
        self.share = 0.0
        self.error: BaseException | None = None
        self._total = 1.0
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._stop = Event()
        self._finish = finish
        self._thread = Thread(target=self._run, name="ctloupe enhance", daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the work to end at its next safe point; what is finished of an OME-Zarr is kept for `resume`."""
        self._stop.set()

    @property
    def running(self) -> bool:
        """Whether the thread still works."""
        return self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        """Whether the work ended because it was asked to."""
        return isinstance(self.error, Interrupted | KeyboardInterrupt)

    def lines(self) -> list[str]:
        """Return what has been said since the last call."""
        found: list[str] = []
        with suppress(Empty):
            while True:
                found.append(self._lines.get_nowait())
        return found

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(seconds)

    # What `enhance_files` tells of its progress.

    def start(self, what: str, total: float) -> None:
        """Note how many slices there are."""
        self._go_on()
        self._total = total

    def update(self, done: float, note: str = "") -> None:
        """Note how many slices are done."""
        self.share = done / self._total if self._total else 1.0
        self._go_on()

    def close(self) -> None:
        """Do nothing: the thread says itself when it has ended."""

    def _say(self, line: str) -> None:
        self._lines.put(line)
        self._go_on()

    def _go_on(self) -> None:
        """Stop the work as Ctrl-C does, where that was asked for: enhancing knows how to leave whole things behind."""
        if self._stop.is_set() and self.share < 1:
            raise KeyboardInterrupt

    def _run(self) -> None:
        try:
            enhance_files(self.request, self._say, self)
        except BaseException as error:
            # Shown by whoever asks: a thread has nobody to raise it to.
            self.error = error
        finally:
            self._finish()
