"""Several phantoms are made beside each other where that is quicker, and they are the same."""

import os

import pytest

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.memory import Memory
from ctloupe.foundation.workers import WorkerLost, Workers
from ctloupe.phantom import together
from ctloupe.phantom.phantom import make_phantom
from ctloupe.phantom.together import Wanted, in_words, make_together, processes_for, write_wanted
from ctloupe.volume.formats import read

SMALL, LARGE = 10**5, 64 * 512 * 512


@pytest.fixture
def machine(monkeypatch):
    def of(cores, available, unasked=True):
        monkeypatch.setattr(together, "unasked_allowed", lambda: unasked)
        monkeypatch.setattr(together, "cores", lambda: cores)
        monkeypatch.setattr(together, "memory", lambda: Memory(10**12, available))

    return of


def test_there_are_as_many_processes_as_cores_phantoms_and_memory_allow(machine):
    machine(8, 10**12)
    assert processes_for([LARGE] * 20) == 8 and processes_for([LARGE] * 3) == 3
    assert processes_for([LARGE]) == 1 and processes_for([]) == 1
    machine(8, 4 * 10**9)
    assert processes_for([LARGE] * 20) == 2
    machine(8, 0)
    assert processes_for([LARGE] * 20) == 1
    machine(8, 10**12, unasked=False)
    assert processes_for([LARGE] * 20) == 1


def test_small_phantoms_are_not_worth_the_start_of_a_process_nor_is_one_among_small_ones(machine):
    machine(8, 10**12)
    assert processes_for([SMALL] * 20) == 1
    assert processes_for([SMALL, LARGE, SMALL]) == 1


def test_what_it_takes_is_said(machine):
    machine(1, 10**12)
    alone = in_words([LARGE] * 8)
    machine(4, 10**12)
    assert alone == "about 2 min" and in_words([LARGE] * 8) == "about 34 s, 4 beside each other"


def make(out):
    """Write which process has made it; one may be refused."""
    if out.name == "refused":
        raise FileError(f"{out}: refused")
    out.write_text(str(os.getpid()))


@pytest.mark.slow
def test_processes_make_them_whose_turns_are_said_and_what_is_wrong_with_one_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(together, "processes_for", lambda voxels: 2)
    names, said = ["a", "b", "c", "refused"], []
    with pytest.raises(FileError, match="refused"):
        make_together(make, [(f"phantom {name}", tmp_path / name) for name in names], [SMALL] * 4, said.append)
    assert said == ["phantom a", "phantom b", "phantom c", "phantom refused"]
    assert str(os.getpid()) not in [(tmp_path / name).read_text() for name in "abc"]


def test_when_a_process_is_ended_from_outside_it_is_said_what_to_do(tmp_path, monkeypatch):
    def lost(self, work, items):
        yield
        raise WorkerLost("one of them was ended")

    monkeypatch.setattr(Workers, "each", lost)
    with pytest.raises(OptionError, match=r"ended from outside.*same command again"):
        make_together(make, [("", tmp_path / "a")], [SMALL])


def test_what_is_wanted_of_a_phantom_is_written_and_replaces_what_was_there(tmp_path):
    micro, whole, said = tmp_path / "micro.nii.gz", tmp_path / "whole", []
    wanted = [("µCT", Wanted("lung", (8, 64, 64), 1, None, micro, "micro"))]
    wanted.append(("all", Wanted("lung", (8, 64, 64), 1, None, whole)))
    for _ in range(2):
        write_wanted(wanted, said.append)
    assert said == ["µCT", "all"] * 2
    case = make_phantom("lung", (8, 64, 64), 1)
    assert (read(micro).data[:] == case.micro.data[:]).all()
    assert (read(whole / "truth.nii.gz").data[:] == case.truth.data[:]).all()
