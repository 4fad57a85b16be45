"""How far the time left that a run tells is off, after a tenth, a fifth and a half: ``python -m benchmarks.time_left``.

Seconds are those of the processor (one thread), so that other processes of the machine count little.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from composer.blueprint import load
from composer.blueprint.syntax.notation import experiment
from composer.tracking.console import Console
from composer.training import assemble, launch
from composer.training.endings import Stopped
from composer.training.session import Session

SHARES: Final = (0.1, 0.2, 0.5)
SAC: Final = ("training.env_steps=16_000", "evaluation.every=4_000")
RESET: Final = 'interventions.reset={ use = "head_reset", interval = 2_000, spare_last = 0 }'
HALF: Final = 8_000
CASES: Final[dict[str, tuple[str, ...]]] = {
    "SAC, warm-up an eighth": ("quickstart", *SAC),
    "SAC, warm-up two thirds": (
        *("quickstart", "training.env_steps=18_000", "evaluation.every=6_000"),
        "algorithm.warmup_interactions=6_000",
    ),
    "PPO, three seeds": ("classic/cartpole_ppo", "training.env_steps=100_000"),
    "digits in two phases, ten seeds": ("warm_start/digits",),
    "SAC, head reset every 2,000 steps": ("quickstart", *SAC, RESET),
    "SAC, compiled": ("quickstart", *SAC, "compute.compile=always"),
    "SAC, resumed half-way": ("quickstart", *SAC, f"checkpoint.every={HALF}"),
    "DQN": ("classic/cartpole_dqn", "training.env_steps=30_000"),
}


class Told(Console):
    """Keeps what is told after each interaction, and shows nothing."""

    stop_at = 0
    """The environment step after which the run is asked to save itself."""

    def __init__(self, *arguments: object, **more: object) -> None:
        super().__init__(1, enabled=False)
        self.told: list[tuple[float, float]] = []
        latest.append(self)

    def update(self, env_step: int, updates: int) -> None:
        """Keep the time and the time left."""
        self.told.append((time.process_time(), self.left()))
        if self.stop_at and env_step > self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)


latest: list[Told] = []


def main() -> None:
    """Run the cases that the arguments name, by default all."""
    launch.Console = Told  # type: ignore[attr-defined]
    for case in sys.argv[1:] or CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {case} | {' | '.join(errors(case, Path(folder)))} |", flush=True)


def errors(case: str, folder: Path) -> list[str]:
    """The duration in seconds, and the error after each share of it, in percent of what was left."""
    file, *overrides = CASES[case]
    blueprint = load(*experiment(file, [*overrides, "tracking={ kind = 'none' }"], []), is_to_run=True).blueprint
    run, session = assemble.start(blueprint, folder, None)
    if "resumed" in case:
        Told.stop_at = HALF
        with_processor_time(session)
        try:
            launch.train_to_end(run, session, quiet=True)
        except Stopped:
            Told.stop_at = 0
        run, session, _ = assemble.resume(run.path)
    began = with_processor_time(session)
    launch.train_to_end(run, session, quiet=True)
    told = latest[-1].told
    end, found = told[-1][0], []
    for share in SHARES:
        at, left = next(each for each in told if each[0] >= began + share * (end - began))
        found.append("not told" if left != left else f"{left / (end - at) - 1:+.0%}")
    return [f"{end - began:.0f}", *found]


def with_processor_time(session: Session) -> float:
    """Have a session measure the time of the processor; returns that time now."""
    session.time_left._now = time.process_time
    return time.process_time()


if __name__ == "__main__":
    main()
