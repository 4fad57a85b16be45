"""The processors that this process may use: its affinity, its cgroups' quotas, and cores rather than hardware threads.

Everything is read from the kernel's settings and nothing from its load, so that the number is the same on every start.
Tests: tests/spec/test_processors.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

THREADS = "OMP_NUM_THREADS"
"""Environment variable of the threads of one operation; it counts for torch, MKL and OpenBLAS alike."""
PROC = Path("/proc")
SYS = Path("/sys")


def cores() -> int:
    """The cores of this process's affinity, at most the whole processors of its cgroups' quotas, and at least 1.

    Two hardware threads of one core count once. A quota of 2.5 processors is 2: threads that work in lock step would
    all wait for the one that has half.
    """
    return max(1, min([_cores_of(os.sched_getaffinity(0)), *map(int, _quotas())]))


def _cores_of(processors: set[int]) -> int:
    """The number of cores that have these processors; all of them where the kernel does not tell."""
    return len({_siblings(number) for number in processors})


def _siblings(processor: int) -> str:
    file = SYS / f"devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return str(processor)


def _quotas() -> Iterator[float]:
    """Processors that each cgroup of this process, and those above, may use at a time, where there is a quota."""
    for hierarchy, path in _own_groups():
        for mount, root in _mounts(hierarchy):
            inside = PurePosixPath(path)
            # A container may see the path that its group has outside, and only its own group mounted.
            below = inside.relative_to(root) if inside.is_relative_to(root) else PurePosixPath()
            for group in (below, *below.parents):
                with suppress(OSError, ValueError, ZeroDivisionError):
                    yield _quota(mount / group, hierarchy)


def _own_groups() -> Iterator[tuple[str, str]]:
    """Hierarchy (``cpu`` of version 1, an empty text for version 2) and path of this process's groups."""
    with suppress(OSError):
        for line in (PROC / "self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                yield ("cpu" if controllers else ""), path


def _mounts(hierarchy: str) -> Iterator[tuple[Path, str]]:
    """Where a hierarchy is mounted, and which of its groups is the root of that mount."""
    with suppress(OSError):
        for line in (PROC / "self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            before, _, after = line.partition(" - ")
            (_, _, _, root, mount, *_), (kind, *_, options) = before.split(), after.split()
            if kind == ("cgroup" if hierarchy else "cgroup2") and (not hierarchy or "cpu" in options.split(",")):
                yield Path(mount), root


def _quota(group: Path, hierarchy: str) -> float:
    """Processors that a group may use at a time. Raises ValueError for no quota, OSError for no file."""
    if hierarchy:
        quota, period = (
            (group / f"cpu.cfs_{name}_us").read_text(encoding="utf-8", errors="replace") for name in ("quota", "period")
        )
        if int(quota) < 0:
            raise ValueError("no quota")
    else:
        quota, period = (group / "cpu.max").read_text(encoding="utf-8", errors="replace").split()
    return float(quota) / float(period)
