"""What the demo tells of its stages."""

import subprocess
import sys

from ctloupe.demo.stages import Stages

HOLD = "import time; held = bytearray(b'1') * (200 * 2**20); time.sleep(0.6)"


def test_the_memory_of_processes_that_a_stage_begins_counts(capsys):
    stages = Stages()
    with stages.stage("alone"):
        pass
    with stages.stage("beside"):
        subprocess.run([sys.executable, "-c", HOLD], check=True)
    (_, _, alone), (name, seconds, beside) = stages.rows
    assert name == "beside" and seconds > 0.6
    assert alone is None or 190 < beside - alone < 400
    assert "demo: beside: " in capsys.readouterr().err
