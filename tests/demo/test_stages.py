"""What the demo tells of its stages."""

import subprocess
import sys
import time

from ctloupe.demo.stages import Stages

HOLD = [sys.executable, "-c", "import time; held = bytearray(b'1') * (200 * 2**20); time.sleep({})"]


def test_the_memory_of_processes_that_a_stage_begins_counts_and_of_no_other(capsys):
    stages, other = Stages(), subprocess.Popen([*HOLD[:2], HOLD[2].format(60)])
    try:
        with stages.stage("alone"):
            time.sleep(0.6)
        with stages.stage("beside"):
            subprocess.run([*HOLD[:2], HOLD[2].format(0.6)], check=True)
    finally:
        other.kill()
        other.wait()
    (_, _, alone), (name, seconds, beside) = stages.rows
    assert name == "beside" and seconds > 0.6
    assert alone is None or 190 < beside - alone < 400
    assert "demo: beside: " in capsys.readouterr().err
