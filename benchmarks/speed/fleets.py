"""Runs side by side in one program against the same runs alone: processor seconds of an interaction.

``python -m benchmarks.speed.fleets [--compiled] [NAME ...]`` prints a row per task, width and number of runs, with
``--compiled`` of compiled updates (a minute of compiling for each number of runs). Every figure is processor time,
which other processes disturb little, of one thread; alternatives take turns. Two runs at a time on two cores take half
of the time of the runs alone, so that one program has to take less than half of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from composer import Blueprint, load
from composer.blueprint.forecast.flops import update_flops
from composer.training import assemble
from composer.training.assemble import NewRun
from composer.training.loop import training_steps
from composer.training.timing import in_turns, lap

COUNTS = (1, 2, 4, 8)
ROUNDS = 3
SECONDS = 1.5
QUIET = ("tracking.kind=none", "compute.threads=1", "seeds=[0]")
LONG = ("training.env_steps=10_000_000", "evaluation.every=10_000_000", "checkpoint.every=10_000_000")
ONE_PHASE = ("environment.phases=[{ updates = 10_000_000 }]", "~interventions")
SHORT_WARMUP = ("algorithm.warmup_interactions=300", "replay.capacity=20_000")


def _mlp(role: str) -> str:
    return f"networks.{role}.trunk={{use='mlp', width={{width}}, depth=2}}"


TASKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sac_mlp": ("dmc/sac_mlp", (*SHORT_WARMUP, *LONG, _mlp("actor"), _mlp("critic"))),
    "sac_simba": ("dmc/sac_simba", (*SHORT_WARMUP, *LONG, "networks.critic.trunk.width={width}")),
    "dqn": ("classic/cartpole_dqn", (*SHORT_WARMUP, *LONG, _mlp("value"))),
    "ppo": ("classic/cartpole_ppo", (*LONG, _mlp("actor"), _mlp("critic"))),
    "digits": (
        "warm_start/digits",
        (*LONG, "environment.phases=[{ updates = 10_000_000 }]", "~interventions", _mlp("model")),
    ),
}
WIDTHS = (32, 128, 512)


def blueprint(task: str, width: int, compiled: bool = False) -> Blueprint:
    """The blueprint of a task, at a width, that trains as long as it is timed."""
    name, overrides = TASKS[task]
    mode = f"compute.compile={'always' if compiled else 'never'}"
    return load(name, [each.replace("{width}", str(width)) for each in (*QUIET, mode, *overrides)])


def stepper(declared: Blueprint, count: int, folder: Path) -> Callable[[], None]:
    """One interaction of ``count`` runs with its updates; beyond the warm-up."""
    if count == 1:
        _, session = assemble.start(declared, folder, None)
        sessions, learn = [session], lambda batches: session.learner.learn(batches[0])
    else:
        together = assemble.start_together([NewRun(f"m{n}", declared) for n in range(count)], folder)
        sessions, learn = together.enter_all()
    steps = [training_steps(each) for each in sessions]

    def step() -> None:
        while True:
            batches = {place: next(each) for place, each in enumerate(steps)}
            if not batches[0]:
                return
            learn(batches)

    clock = sessions[0].clock
    while clock.updates < 2:
        step()
    return step


def measure(task: str, width: int, compiled: bool = False) -> list[dict[str, Any]]:
    """A row per number of runs."""
    declared = blueprint(task, width, compiled)
    with tempfile.TemporaryDirectory() as folder:
        calls = {count: stepper(declared, count, Path(folder)) for count in COUNTS}
        burst = 128 if task == "ppo" else None  # Whole rollouts.
        laps = {
            count: partial(lap, call, SECONDS, lambda: None, time.process_time, burst) for count, call in calls.items()
        }
        rates = in_turns(laps, ROUNDS)
    costs = {count: [1 / each.rate for each in several] for count, several in rates.items()}
    flops = update_flops(declared)
    rows = []
    for count in COUNTS[1:]:
        ratios = [count * alone / beside for alone, beside in zip(costs[1], costs[count], strict=True)]
        rows.append(
            {
                "task": task,
                "width": width,
                "runs": count,
                "compiled": compiled,
                "flops": flops,
                "alone_ms": median(costs[1]) * 1e3,
                "together_ms": median(costs[count]) * 1e3,
                "ratio": median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
            }
        )
    return rows


def main(arguments: Sequence[str]) -> None:
    """Measure and print a JSON object per row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.fleets")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TASKS))
    parser.add_argument("--compiled", action="store_true", help="of compiled updates")
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)), metavar="WIDTH,WIDTH")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in given.names or TASKS:
        for width in map(int, given.widths.split(",")):
            for row in measure(name, width, given.compiled):
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
