"""Mutation testing: change one thing in a module and see whether a test fails.

The tests of a group are collected once. For each mutant the process forks; the child changes the live function and runs
the tests until one fails, so that neither torch nor the package is imported again. Mutated are bodies of functions,
decorated ones too, not defaults, class bodies and constants of modules. Known tools do not do that here: mutmut leaves
decorated functions alone, cosmic-ray starts an interpreter for each mutant, which takes longer to import torch than the
tests take. Tests: tests/tools/test_mutation.py.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tools.mutation.mutants import Mutant, mutants_of

GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "checkpoint": (
        ("composer/training/runs/checkpoint.py", "composer/training/runs/state_files.py"),
        ("tests/faults/test_checkpoint.py", "tests/faults/test_state.py"),
    ),
    "journal": (("composer/tracking/journal.py",), ("tests/tracking/test_journal.py",)),
    "interventions": (("composer/interventions/*.py",), ("tests/interventions",)),
    "learner": (
        ("composer/training/learner.py",),
        ("tests/training/test_learner.py", "tests/training/test_averages.py", "tests/training/test_algorithm_state.py"),
    ),
    "replay": (("composer/replay/*.py",), ("tests/replay",)),
    "losses": (
        ("composer/algorithms/losses/*.py", "composer/algorithms/*_losses.py"),
        (
            *("tests/papers/test_returns.py", "tests/papers/test_policies.py", "tests/papers/test_advantages.py"),
            *("tests/papers/test_sac.py", "tests/papers/test_dqn.py", "tests/papers/test_ppo.py"),
            *("tests/papers/test_deterministic.py", "tests/papers/test_supervised.py", "tests/papers/test_spr.py"),
            *("tests/papers/test_tanh_gaussian.py", "tests/papers/test_augmentation.py"),
            *("tests/papers/test_sac_critics.py", "tests/papers/test_value_heads.py"),
        ),
    ),
}
"""By name: patterns of the mutated files, and the tests that are run on them."""
SHARE = 0.9
"""Least share of mutants that tests have to kill."""


class Forks:
    """The pytest plugin: runs the collected tests once for each mutant, in a fork."""

    def __init__(self, mutants: Sequence[Mutant], seconds: float) -> None:
        self.mutants, self.seconds = mutants, seconds
        self.survivors: list[Mutant] = []
        self.unfit: list[Mutant] = []
        self.done = 0
        self._items: list[pytest.Item] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests unchanged, then under each mutant, within the time."""
        self._items = list(session.items)
        for file in {mutant.file for mutant in self.mutants}:
            # Functions of a module that tests import late could not be changed yet.
            importlib.import_module(".".join(file.with_suffix("").parts))
        started = time.monotonic()
        assert self._run(session, None, 3_600) == "survived", "the tests fail without a mutant"
        limit = int(5 * (time.monotonic() - started)) + 30
        for mutant in self.mutants:
            if time.monotonic() - started > self.seconds:
                break
            ended = self._run(session, mutant, limit)
            print(f"{ended:9} {mutant}", file=sys.__stderr__, flush=True)
            self.done += ended != "unfit"
            self.survivors += [mutant] if ended == "survived" else []
            self.unfit += [mutant] if ended == "unfit" else []
        return True

    def _run(self, session: pytest.Session, mutant: Mutant | None, limit: int) -> str:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                self._child(session, mutant, limit, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            said = stream.read().decode()
        os.waitpid(child, 0)
        if said.startswith("failed"):
            # What killed one mutant is likely to kill its neighbours.
            self._items.insert(0, self._items.pop(int(said.split()[1])))
        return said if said in ("survived", "unfit") else "killed"

    def _child(self, session: pytest.Session, mutant: Mutant | None, limit: int, writing: int) -> None:
        """Run the tests until one fails; a child that ends without a word (timeout, crash) has killed its mutant."""
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.alarm(limit)
        if mutant is not None and not mutant.apply():
            os.write(writing, b"unfit")
            return
        items = self._items
        for index, item in enumerate(items):
            following = items[index + 1] if index + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                os.write(writing, f"failed {index}".encode())
                return
        os.write(writing, b"survived")


def run(group: str, count: int, seed: int, seconds: float) -> dict[str, Any]:
    """Test a random sample of the mutants of a group; returns its row of the table."""
    patterns, tests = GROUPS[group]
    files = sorted(path for pattern in patterns for path in Path.cwd().glob(pattern) if path.name != "__init__.py")
    mutants = [mutant for file in files for mutant in mutants_of(file.relative_to(Path.cwd()))]
    chosen = random.Random(seed).sample(mutants, min(count, len(mutants)))
    forks = Forks(chosen, seconds)
    pytest.main([*tests, "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"], plugins=[forks])
    killed = forks.done - len(forks.survivors)
    return {
        "group": group,
        "mutants": len(mutants),
        "tried": forks.done,
        "killed": killed,
        "survivors": [str(mutant) for mutant in forks.survivors],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of one group; 1 where fewer than nine tenths of its mutants are killed."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("group", choices=[*GROUPS])
    parser.add_argument("--count", type=int, default=60, help="mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3_600.0, help="begin no mutant after so many")
    chosen = parser.parse_args(arguments)
    row = run(chosen.group, chosen.count, chosen.seed, chosen.seconds)
    print(json.dumps(row, indent=1))
    return int(row["killed"] < SHARE * row["tried"])


if __name__ == "__main__":
    sys.exit(main())
