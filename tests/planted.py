"""A search on a planted objective: what trains writes a journal with a closed form instead of learning."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from composer.blueprint.syntax.read import parse_tree
from composer.studies.execution.feed import Feed
from composer.studies.execution.outcome import Outcome
from composer.studies.search.subject import Subject
from composer.studies.search.table import read_search
from composer.studies.study.points import Point, StudyRun
from composer.tracking.journal import Journal
from composer.tracking.records import JOURNAL

TINY = Path(__file__).parent / "tiny.toml"
SPACE = """
[search.space]
rate.keys = ["optimizers.actor.learning_rate", "optimizers.critic.learning_rate"]
rate.low = 1e-5
rate.high = 1e-1
rate.log = true
"algorithm.batch_size" = { low = 8, high = 64, step = 8 }
"algorithm.update_to_data" = [0.5, 1.0, 2.0]
"""
BEST_RATE, BEST_BATCH, BEST_RATIO = 2e-3, 40, 2.0
STEPS = range(100, 1300, 100)


def subject(head: str = "", space: str = SPACE, tasks: Sequence[tuple[str, ...]] = ((),)) -> Subject:
    node = parse_tree(f"[search]\n{head}\n{space}".encode(), "study.toml").value["search"]
    return Subject(Point(str(TINY)), tuple(tasks), (0, 1), read_search(node), node)


def planted(run: StudyRun) -> float:
    """100 at the optimum; quadratic in the logarithm of the rate and in the batch."""
    blueprint = run.blueprint
    rate, batch = blueprint.optimizers["actor"].learning_rate, blueprint.algorithm.batch_size  # type: ignore[attr-defined]
    value = rate.value if hasattr(rate, "value") else rate
    score = 100 - 20 * math.log10(value / BEST_RATE) ** 2 - 20 * ((batch - BEST_BATCH) / 32) ** 2
    return score - (0 if blueprint.algorithm.update_to_data == BEST_RATIO else 10)


class Planted:
    """Trains by writing a curve that rises to the planted value, and asks at every step whether to stop."""

    def __init__(self, folder: Path, before: Callable[[StudyRun], None] = lambda run: None) -> None:
        self.folder, self.before = folder, before
        self.trained: list[tuple[str, int]] = []
        """Name of the run, and its last step."""

    def __call__(self, runs: Sequence[StudyRun], *, feed: Feed | None = None) -> list[Outcome]:
        found = [self._train(run, None) for run in runs]
        while feed is not None and (more := feed.more()):
            for run in more:
                feed.ended(self._train(run, feed))
        return found

    def _train(self, run: StudyRun, feed: Feed | None) -> Outcome:
        self.before(run)
        directory = self.folder / f"{run.key[:16]}-{len(self.trained)}"
        directory.mkdir(parents=True)
        journal, final, is_stopped = Journal(directory / JOURNAL), planted(run), False
        for step in STEPS:
            for seed in run.blueprint.seeds:
                value = final * step / STEPS[-1] + (seed - 0.5)
                metrics = {"evaluation/return": value}
                journal.append({"type": "metrics", "env_step": step, "seed": seed, "metrics": metrics})
            journal.flush()
            if is_stopped := (feed is not None and feed.gives_up(run, directory)):
                break
        journal.close()
        self.trained.append((run.name, step))
        return Outcome(run, *(("stopped", 143) if is_stopped else ("finished", 0)), directory)
