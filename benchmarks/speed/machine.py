"""The machine: its description, and how much of it other processes use."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any, Final

import psutil

from composer.spec.version import __version__

LIBRARIES: Final = (
    "torch", "numpy", "stable-baselines3", "sbx-rl", "jax", "torchrl", "gymnasium", "dm_control", "mujoco", "ale-py",
    "shimmy",
)  # fmt: skip
FOREIGN_LIMIT: Final = 0.2
"""A repeat counts as disturbed if other processes use more cores than this."""


def describe_machine() -> dict[str, Any]:
    """Versions, processor, cores and threads."""
    import torch

    return {
        "composer": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "cpu": cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def peak_memory() -> int:
    """Peak memory of this process in bytes; the present memory where the kernel has no peak."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        lines = []
    # Not getrusage: its peak includes that of the parent process.
    peaks = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return next(peaks, held_memory())


def held_memory() -> int:
    """Memory of this process in bytes."""
    return int(psutil.Process().memory_info().rss)


def cpu_model() -> str:
    """The processor's name, or its architecture where the kernel has no name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


class ForeignLoad:
    """Cores used by processes other than this one and one worker."""

    def __init__(self, worker: int) -> None:
        """Start counting; ``worker`` is a process id."""
        self._processes = [psutil.Process(worker), psutil.Process()]
        self._before = self._now()

    def cores(self) -> float:
        """Mean number of cores since the start. The kernel counts in hundredths of a second."""
        wall, busy, own = (now - then for now, then in zip(self._now(), self._before, strict=True))
        return max(0.0, (busy - own) / max(wall, 1e-9))

    def _now(self) -> tuple[float, float, float]:
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # The kernel counts guests in user time too.
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        own = sum(_used(process) for process in self._processes)
        return time.monotonic(), sum(times) - idle - twice, own


def _used(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
