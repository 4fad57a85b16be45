"""How many runs `composer discover` needs to find two planted points, against random choice.

    python -m benchmarks.discover --spaces 20

A space has 180 points on four axes (a rate over two decades, a width, a switch, a word). Effects are smooth, and two
points far apart rise above them by the same height, each with its surroundings. A run has three seeds, with noise.
Found means that both are trained. Random choice without repeats needs 2 (n + 1) / 3 runs in the mean, exactly.
Tests: tests/studies/discover/test_discover.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from composer.blueprint.syntax.nodes import Node, Origin
from composer.spec.interval import mean_interval
from composer.studies.discover.discover import Question, look
from composer.studies.discover.evidence import Evidence
from composer.studies.discover.space import features
from composer.studies.discover.subset import normal
from composer.studies.statistics import Floats
from composer.studies.study.load import Study
from composer.studies.study.points import Point

RATES, WIDTHS, SWITCHES, WORDS = (
    (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    (64, 128, 192, 256, 320),
    (False, True),
    ("a", "b", "c"),
)
HEIGHT, SURROUNDINGS, NOISE, SEEDS, APART = 3.0, 0.35, 0.3, 3, 1.0


class Space(NamedTuple):
    """A simulated study."""

    study: Study
    scores: Floats
    """``[n]``: what each point is worth."""
    planted: frozenset[int]


def space(number: int) -> Space:
    """The space of a number."""
    rng = np.random.default_rng(number)
    points = tuple(
        Point("simulated", {"rate": rate, "width": width, "switch": switch, "word": word})
        for rate, width, switch, word in product(RATES, WIDTHS, SWITCHES, WORDS)
    )
    vectors = features(points)
    squares = ((vectors[:, None] - vectors[None]) ** 2).sum(-1)
    while squares[one := int(rng.integers(len(points))), other := int(rng.integers(len(points)))] < APART**2:
        pass
    scores = 0.5 * normal(np.exp(-0.5 * squares / 0.8**2), 1, rng)[0]
    scores = scores + HEIGHT * np.exp(-0.5 * squares[[one, other]] / SURROUNDINGS**2).sum(0)
    at = Origin("simulated", 1, 1)
    study = Study(f"space {number}", "", Path("simulated"), (), points, ("task",), (), {}, Node({}, at, at))
    return Space(study, scores, frozenset((one, other)))


def runs_until_found(made: Space, number: int, batch: int = 2) -> dict[str, int | None]:
    """Runs until both planted points are trained, and until the subset that is printed is them."""
    rng = np.random.default_rng([number, 1])
    trained: dict[int, Floats] = {}
    question = Question(next=batch, subset=2, seed=number)
    both = printed = None
    while printed is None and len(trained) < len(made.scores):
        table = look(made.study, Evidence(tuple(trained), tuple(trained.values()), ()), question, set())
        if both and frozenset(each["index"] for each in table["subset"]) == made.planted:
            printed = len(trained)
        for each in table["suggested"]:
            trained[each["index"]] = made.scores[each["index"]] + NOISE * rng.standard_normal(SEEDS)
            if both is None and made.planted <= trained.keys():
                both = len(trained)
    return {"found": both, "printed": printed}


def measure(numbers: Sequence[int]) -> dict[str, Any]:
    """The table over spaces."""
    rows = []
    for number in numbers:
        made = space(number)
        order = np.random.default_rng([number, 2]).permutation(len(made.scores)).tolist()
        drawn = 1 + max(order.index(index) for index in made.planted)
        rows.append({"space": number, **runs_until_found(made, number), "random": drawn})
    expected = 2 * (len(made.scores) + 1) / 3
    ratios = [row["found"] / expected for row in rows]
    return {
        "points": len(made.scores),
        "spaces": rows,
        "mean_runs": float(np.mean([row["found"] for row in rows])),
        "mean_runs_random": expected,
        "ratio": float(np.mean(ratios)),
        "ratio_interval": mean_interval(ratios, (0.0, np.inf)),
        "fewer_than_one_random_order": sum(row["found"] < row["random"] for row in rows),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(measure(range(given.first, given.first + given.spaces)), indent=1))
