"""From the start of a process to the end of its first update, without compiled code on disk and with it.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import composer
from benchmarks.gpu.agents import MLP, SIMBA, Case
from benchmarks.gpu.pieces import Findings, Piece
from benchmarks.gpu.setting import Setting


def startup(setting: Setting) -> Findings:
    """A cold and a warm start, one process each."""
    findings = Findings()
    for case in setting.sized((MLP, SIMBA), (MLP,)):
        with tempfile.TemporaryDirectory() as folder:
            for state in ("cold", "warm"):
                findings.rows.append(
                    {"agent": case.name, "compiled code": state, **_first_update(case, setting, folder)}
                )
    if not setting.compiles:
        findings.notes.append("nothing was compiled here")
    return findings


def _first_update(case: Case, setting: Setting, folder: str) -> dict[str, Any]:
    """Times that a new process reports of its start; it keeps compiled code in ``folder``."""
    caches = {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor", "TRITON_CACHE_DIR": f"{folder}/triton"}
    root = str(Path(composer.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    mode = "compiled" if setting.compiles else "eager"
    command = [sys.executable, "-m", "benchmarks.gpu.first_update", case.blueprint, setting.device, mode]
    command += case.all_overrides(setting, 1)
    done = subprocess.run(
        command, env={**os.environ, **caches, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise RuntimeError(f"a fresh process ended with {done.returncode}: {said[-1] if said else 'it said nothing'}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


PIECES: Final = (
    Piece("startup", "Seconds from the start of a process to the end of its first update, and where they go.", startup),
)
