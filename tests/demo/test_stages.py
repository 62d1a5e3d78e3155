"""What the demo tells of its stages."""

import subprocess
import sys

from ctloupe.demo.stages import Stages

HOLD = "import time; held = bytearray(200 * 2**20); print(flush=True); time.sleep({seconds})"


def test_the_memory_of_processes_that_a_stage_begins_counts(capsys):
    stages = Stages()
    with stages.stage("alone"):
        pass
    with (
        stages.stage("beside"),
        subprocess.Popen([sys.executable, "-c", HOLD.format(seconds=0.5)], stdout=subprocess.PIPE),
    ):
        pass
    (_, _, alone), (name, seconds, beside) = stages.rows
    assert name == "beside" and seconds > 0.5
    assert alone is None or 190 < beside - alone < 400
    assert "demo: beside: " in capsys.readouterr().err
