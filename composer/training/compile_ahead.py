"""Compile in another process while the run trains eagerly; both share one cache.

That process, ``composer.training.assemble.compile_process``, builds the same agent and makes one update on zeros; the
run then finds the compiled code in the cache. Tests: tests/training/test_compile_ahead.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from composer.environments.interface import EnvironmentInfo
from composer.replay.transitions import Minibatch, Transitions
from composer.spec.run_files import open_to_write
from composer.training.learner import Learner

PROCESS = "composer.training.assemble.compile_process"


class BackgroundCompiler:
    """The process that compiles."""

    def __init__(self, run: Path, device: str) -> None:
        """Start it for the run in a directory; ``close`` ends it."""
        self._log = run / "compile.log"
        with os.fdopen(open_to_write(self._log, os.O_TRUNC), "wb") as log:
            command = [sys.executable, "-m", PROCESS, str(run), device]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def problem(self) -> str | None:
        """None while it works; once it has ended, the last line of its log if it failed, else an empty text."""
        code = self._process.poll()
        if code is None:
            return None
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "" if code == 0 else (lines[-1] if lines else f"exit code {code}")

    def close(self) -> None:
        """End it, done or not."""
        self._process.kill()
        self._process.wait()


def example(learner: Learner, info: EnvironmentInfo) -> Minibatch:
    """A minibatch of zeros, of the shapes that the program is compiled for."""
    seeds, batch, device = len(learner.seeds), learner.batch_size, learner.device
    kind = torch.uint8 if info.pictures else torch.float32
    seen = torch.zeros(seeds, batch, *info.observation, dtype=kind, device=device)
    numbers = torch.zeros(seeds, batch, device=device)
    action = torch.zeros(seeds, batch, info.action_size, device=device)
    action[..., 0] = float(info.discrete)
    transitions = Transitions(seen, action, numbers, numbers.clone(), seen.clone())
    return Minibatch(transitions, learner.default_extras(transitions))
