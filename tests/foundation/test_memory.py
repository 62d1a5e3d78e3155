"""Memory is the machine's, or less where a control group of Linux says so."""

import psutil
import pytest

from ctloupe.foundation.memory import memory

MEGABYTE = 1 << 20


@pytest.fixture
def container(tmp_path):
    """A function that lays out control groups in a folder and measures memory in one of them."""

    def measure(membership, groups, names):
        for folder, values in groups.items():
            (tmp_path / "cgroup" / folder).mkdir(parents=True, exist_ok=True)
            for name, value in zip(names, values, strict=True):
                (tmp_path / "cgroup" / folder / name).write_text(f"{value}\n")
        (tmp_path / "own").write_text(membership)
        return memory(tmp_path / "cgroup", tmp_path / "own")

    return measure


def version_2(container, membership, groups):
    """Measure with one hierarchy for all controllers."""
    return container(membership, groups, ("memory.max", "memory.current", "memory.stat"))


def version_1(container, membership, groups):
    """Measure with a hierarchy of its own for memory, beside others."""
    return container(membership, groups, ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"))


def unlimited(measured):
    return measured.total == psutil.virtual_memory().total and 0 < measured.available <= measured.total


def test_without_control_groups_it_is_what_psutil_measures(tmp_path):
    measured = memory(tmp_path / "absent", tmp_path / "absent")
    machine = psutil.virtual_memory()
    assert measured.total == machine.total
    # Other programs take and give memory between the two measurements.
    assert measured.available == pytest.approx(machine.available, abs=0.1 * machine.total)


def test_this_process_has_no_more_than_the_machine():
    measured = memory()
    assert 0 < measured.total <= psutil.virtual_memory().total
    assert 0 <= measured.available <= measured.total


def test_a_limit_counts_less_what_is_used_but_the_cache_of_files_is_free(container):
    groups = {"job": (50 * MEGABYTE, 20 * MEGABYTE, f"anon 1\ninactive_file {5 * MEGABYTE}\nactive_file 7")}
    measured = version_2(container, "0::/job\n", groups)
    assert (measured.total, measured.available) == (50 * MEGABYTE, 35 * MEGABYTE)


def test_the_older_layout_is_read_with_the_cache_of_its_children(container):
    stat = f"inactive_file 1\ntotal_inactive_file {5 * MEGABYTE}"
    groups = {"memory/job": (50 * MEGABYTE, 20 * MEGABYTE, stat)}
    measured = version_1(container, "7:cpu,cpuacct:/other\n5:memory,hugetlb:/job\n", groups)
    assert (measured.total, measured.available) == (50 * MEGABYTE, 35 * MEGABYTE)


def test_the_older_layout_writes_no_limit_as_a_huge_number(container):
    assert unlimited(version_1(container, "5:memory:/job\n", {"memory/job": ((1 << 63) - 4096, 1, "")}))


@pytest.mark.parametrize("tight", ["slice", "slice/job"])
def test_the_tightest_of_nested_groups_binds(container, tight):
    groups = {"slice": ("max", 1, ""), "slice/job": ("max", 1, ""), "slice/job/step": ("max", 1, "")}
    groups[tight] = (60 * MEGABYTE, 10 * MEGABYTE, "")
    measured = version_2(container, "0::/slice/job/step\n", groups)
    assert (measured.total, measured.available) == (60 * MEGABYTE, 50 * MEGABYTE)


def test_room_and_size_may_be_bound_by_different_groups(container):
    groups = {"wide": (90 * MEGABYTE, 85 * MEGABYTE, ""), "wide/narrow": (40 * MEGABYTE, 10 * MEGABYTE, "")}
    measured = version_2(container, "0::/wide/narrow\n", groups)
    assert (measured.total, measured.available) == (40 * MEGABYTE, 5 * MEGABYTE)


def test_groups_beside_and_below_the_own_one_do_not_bind(container):
    groups = {"own": ("max", 1, ""), "own/child": (MEGABYTE, 1, ""), "other": (MEGABYTE, 1, "")}
    assert unlimited(version_2(container, "0::/own\n", groups))


def test_inside_a_container_the_own_group_is_the_root_whatever_the_host_calls_it(container):
    measured = version_2(container, "0::/docker/4f5e\n", {".": (50 * MEGABYTE, 20 * MEGABYTE, "")})
    assert (measured.total, measured.available) == (50 * MEGABYTE, 30 * MEGABYTE)


def test_beyond_its_limit_nothing_is_available(container):
    assert version_2(container, "0::/job\n", {"job": (MEGABYTE, 2 * MEGABYTE, "")}).available == 0


@pytest.mark.parametrize("membership", ["", "nonsense\n", "0::/absent\n", "3:cpu:/job\n"])
def test_what_tells_of_no_limit_leaves_the_machine(container, membership):
    assert unlimited(version_2(container, membership, {"job": (MEGABYTE, 1, "")}))


def test_an_unreadable_group_is_left_out(container):
    assert unlimited(version_2(container, "0::/job\n", {"job": (MEGABYTE, "a lot", "")}))
