"""Signals that stop a command do what Ctrl-C does, and a second one ends it at once."""

import os
import signal
import subprocess
import sys

import pytest

from ctloupe.foundation.signals import STOPPING, deferred, exit_status, interrupting


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_interrupts_and_says_the_status_to_leave_with(number):
    before = [signal.getsignal(one) for one in STOPPING]
    with interrupting():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        assert exit_status() == 128 + number
    assert [signal.getsignal(one) for one in STOPPING] == before


@pytest.mark.parametrize("second", STOPPING)
def test_a_second_signal_ends_the_process_at_once(second):
    code = (
        "import os, signal, sys\n"
        "from ctloupe.foundation.signals import interrupting\n"
        "with interrupting():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    except KeyboardInterrupt:\n"
        "        os.kill(os.getpid(), int(sys.argv[1]))\n"
        "    finally:\n"
        "        print('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(int(second))], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-second, "")


@pytest.mark.parametrize("number", STOPPING)
def test_work_with_safe_points_is_told_once_and_not_interrupted(number):
    stopped, saved = [], []
    with interrupting(), deferred(lambda: stopped.append(1), lambda: saved.append(1)):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), number)
        assert (len(stopped), len(saved)) == (1, 2)
        assert exit_status() == 128 + number


def test_what_the_process_was_started_to_ignore_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupting(), deferred(pytest.fail, pytest.fail):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_to_save_does_nothing_where_nobody_can():
    with interrupting():
        os.kill(os.getpid(), signal.SIGUSR1)
