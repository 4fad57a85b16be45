"""Threads and GPUs of the processes of a study.

The number of threads changes the last digits of what is computed: a study decides it once and remembers it, so that its
runs have equal digests wherever they are trained. A number in a blueprint's ``compute.threads`` counts before it.
Tests: tests/studies/execution/test_launchers.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from composer.spec.processors import THREADS, cores
from composer.spec.run_files import read_table, write_text

RESOURCES = "resources.json"
MAX_THREADS = 1_024
GPUS = "CUDA_VISIBLE_DEVICES"


def threads_of(folder: Path, default: int) -> int:
    """The threads of each process of the study in ``folder``: as decided when it began, else decided now.

    Where ``OMP_NUM_THREADS`` is set, the user has decided; else it is ``default``.
    """
    known = _decided(folder)
    if known is None:
        known = foreseen_threads(folder, default)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / RESOURCES, json.dumps({"threads": known}))
    return known


def foreseen_threads(folder: Path, default: int) -> int:
    """What ``threads_of`` would return; nothing is decided."""
    if (known := _decided(folder)) is not None:
        return known
    declared = os.environ.get(THREADS, "")
    return int(declared) if declared.isdecimal() and 1 <= int(declared) <= MAX_THREADS else default


def _decided(folder: Path) -> int | None:
    try:
        known = read_table(folder / RESOURCES).get("threads")
    except (OSError, ValueError):
        return None
    return known if type(known) is int and 1 <= known <= MAX_THREADS else None


def share(jobs: int) -> int:
    """The threads of one of ``jobs`` processes on this machine."""
    return max(1, cores() // jobs)


def local_gpus() -> tuple[str, ...]:
    """The GPUs of this machine as ``CUDA_VISIBLE_DEVICES`` names them; empty where there is none."""
    if GPUS in os.environ:
        return tuple(name.strip() for name in os.environ[GPUS].split(",") if name.strip())
    import torch

    return tuple(map(str, range(torch.cuda.device_count())))


def least_used(gpus: Sequence[str], used: Sequence[str]) -> str:
    """The first of the GPUs with the fewest works."""
    return min(gpus, key=list(used).count)
