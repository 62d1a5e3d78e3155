"""Progress as the command line shows it."""

from ctloupe.cli.progress import progress


def test_without_a_terminal_long_work_is_told_in_lines_on_standard_error(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with progress("reading", 4) as tell:
        tell(1)
        now[0] = 6.0
        tell(2, "scan.nii.gz")
        now[0] = 7.0
        tell(4)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["reading: 50%, about 6 s left, scan.nii.gz", "reading: 100%"]
