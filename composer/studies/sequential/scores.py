"""Final scores of blocks of seeds, as the sequential test takes them. Tests: tests/studies/sequential/test_until.py."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from composer.studies.compare.read_runs import read_run
from composer.studies.execution.engine import Outcome
from composer.studies.sequential.permutation import Floats


def look_scores(
    ended: Mapping[tuple[int, int], Outcome],
    shape: tuple[int, int, int],
    seeds: Sequence[int],
    before: Sequence[Floats] = (),
) -> Floats:
    """The last evaluation of every seed of one block, ``[T, J, n]``; NaN for agents that took no part.

    ``ended`` is by task and agent. A seed of a run that diverged gets the lowest score that the metric can have, or
    that any seed has had on the task so far.
    """
    found = np.full(shape, np.nan)
    for place, outcome in ended.items():
        if outcome.directory is not None and outcome.status == "finished":
            metric = outcome.run.blueprint.environment.metric
            points = read_run(outcome.directory, metric).points
            found[place] = [points[seed][max(points[seed])] for seed in seeds]
    for place, outcome in ended.items():
        if outcome.status == "diverged":
            low = outcome.run.blueprint.environment.metric_range[0]
            so_far = np.concatenate([each[place[0]].ravel() for each in (*before, found)])
            known = so_far[np.isfinite(so_far)]
            found[place] = low if math.isfinite(low) else known.min() if known.size else 0.0
    return found


def standardised(looks: Sequence[Floats]) -> Floats:
    """All looks, ``[K', T, J, n]``, with each task divided by the spread of all its scores at the first look.

    That spread is the same under every relabelling.
    """
    spread = np.nanstd(looks[0], axis=(1, 2))
    return np.asarray(np.stack(looks) / np.where(spread > 0, spread, 1.0)[:, None, None], np.float64)
