"""Cores of a process: affinity, hardware threads of one core, quotas of cgroups of both versions, in containers too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from composer.spec import processors
from composer.spec.processors import cores


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight processors, two to a core; no cgroups."""
    for number in range(8):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{number}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{number % 4},{number % 4 + 4}\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    monkeypatch.setattr(processors, "PROC", tmp_path / "proc")
    monkeypatch.setattr(processors, "SYS", tmp_path / "sys")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    return tmp_path


def test_hardware_threads_of_one_core_count_once(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores() == 4
    for affinity, expected in (({0, 4}, 1), ({0, 1, 5}, 2), ({2}, 1)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process, found=affinity: found)
        assert cores() == expected
    monkeypatch.setattr(processors, "SYS", machine / "nothing")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 4})
    assert cores() == 2, "the kernel does not tell"


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [("max 100000", "max 100000", 4), ("max 100000", "250000 100000", 2), ("100000 50000", "300000 100000", 2),
     ("50000 100000", "max 100000", 1), ("9900000 100000", "max 100000", 4)],
)  # fmt: skip
def test_quotas_of_version_2_hold_for_groups_below(machine: Path, outer: str, inner: str, expected: int) -> None:
    """2.5 processors are 2, half a processor is 1, and the tightest group of all above decides."""
    _mount(machine, "cgroup2", "/", "rw,nsdelegate")
    (machine / "proc/self/cgroup").write_text("0::/user/job\n")
    (machine / "mnt/user/job").mkdir(parents=True)
    (machine / "mnt/user/cpu.max").write_text(outer + "\n")
    (machine / "mnt/user/job/cpu.max").write_text(inner + "\n")
    assert cores() == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 4), ("300000", 3), ("99999", 1)])
@pytest.mark.parametrize("root", ["/", "/docker/abc"])
def test_quotas_of_version_1(machine: Path, root: str, quota: str, expected: int) -> None:
    """A container sees the path that its group has outside, and its own group mounted."""
    _mount(machine, "cgroup", root, "rw,cpu,cpuacct")
    (machine / "proc/self/cgroup").write_text("9:memory:/other\n4:cpu,cpuacct:/docker/abc\n0::/\n")
    group = machine / "mnt" / ("docker/abc" if root == "/" else "")
    group.mkdir(parents=True, exist_ok=True)
    (group / "cpu.cfs_quota_us").write_text(quota + "\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    assert cores() == expected


def test_a_group_that_is_not_mounted_has_no_quota(machine: Path) -> None:
    (machine / "proc/self/cgroup").write_text("4:cpu:/a\n0::/b\n")
    assert cores() == 4


def _mount(machine: Path, kind: str, root: str, options: str) -> None:
    lines = [
        "20 1 8:1 / / rw - ext4 /dev/vda rw",
        f"31 20 0:30 {root} {machine}/mnt rw shared:9 - {kind} {kind} {options}",
    ]
    (machine / "proc/self/mountinfo").write_text("\n".join(lines) + "\n")
