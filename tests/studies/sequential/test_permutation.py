"""The sequential permutation test: against brute force over a whole group, and its levels by simulation."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest

from composer.studies.sequential import permutation
from composer.studies.sequential.permutation import Design, decisions, rejections


def groups(block: int) -> list[list[int]]:
    """Every way to deal two agents' seeds of one block anew, the way they are first."""
    seeds = range(2 * block)
    ways = [[*first, *(each for each in seeds if each not in first)] for first in combinations(seeds, block)]
    return sorted(ways, key=lambda way: way != [*seeds])


def by_brute_force(scores: np.ndarray, looks: int, alpha: float) -> int:
    """The look at which two agents ``[K', 2, n]`` are told apart, by the definition, over all relabellings."""
    block = scores.shape[2]
    ways = groups(block)
    alive = {path: 0.0 for path in product(range(len(ways)), repeat=looks)}
    total, spent = len(alive), 0
    for look in range(1, len(scores) + 1):
        pooled = scores[look - 1].ravel()
        for path in alive:
            dealt = pooled[ways[path[look - 1]]]
            alive[path] += dealt[:block].sum() - dealt[block:].sum()
        allowed = int(total * alpha * math.sqrt(look / looks)) - spent
        sizes = sorted((round(abs(value), 9) for value in alive.values()), reverse=True)
        crossed = {path for path, value in alive.items() if round(abs(value), 9) > sizes[allowed]}
        if (0,) * looks in crossed:
            return look
        spent += len(crossed)
        alive = {path: value for path, value in alive.items() if path not in crossed}
    return 0


def test_equals_brute_force_over_all_relabellings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks of three seeds: 20 x 20 relabellings, all of them, in sixty studies with effects of every size."""
    looks, block, studies = 2, 3, 60
    ways = groups(block)
    paths = [*product(range(len(ways)), repeat=looks)]
    drawn = iter(range(looks))

    def whole(count: int, seeds: int, rng: np.random.Generator) -> np.ndarray:
        look = next(drawn)
        return np.array([ways[path[look]] for path in paths])

    monkeypatch.setattr(permutation, "_orders", whole)
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, (looks, 1, 2, block, studies)).astype(float)
    scores[:, :, 1] += np.linspace(0, 12, studies)
    found = rejections(scores, Design(looks, block, 0.2, len(paths)), ((0, 1),))
    expected = [by_brute_force(scores[:, 0, ..., study], looks, 0.2) for study in range(studies)]
    assert found.tolist() == expected
    assert set(expected) == {0, 1, 2}


def test_hypotheses_are_the_partitions_of_the_agents() -> None:
    bell = {2: 1, 3: 4, 4: 14, 5: 51, 6: 202}
    assert {n: len({*Design().hypotheses(n)}) for n in bell} == bell
    assert set(Design().hypotheses(3)) == {((0, 1, 2),), ((0, 1),), ((0, 2),), ((1, 2),)}
    assert ((0, 3), (1, 2)) in {*Design().hypotheses(4)}
    assert set(Design(against_first=True).hypotheses(3)) == {((0, 1),), ((0, 2),), ((0, 1, 2),)}


def test_signs_names_and_units_of_agents_do_not_matter() -> None:
    rng, design = np.random.default_rng(3), Design(4, 3, relabellings=800)
    scores = rng.normal(0, 1, (4, 2, 2, 3, 40))
    scores[:, :, 1] += np.linspace(0, 2, 40)
    found = decisions(scores, design)
    assert 0 < (found[0, 1] > 0).mean() < 1
    assert (decisions(-scores, design) == found).all()
    assert (decisions(1e6 * scores + 1e3, design) == found).all()


def test_agents_that_scored_the_same_are_never_told_apart() -> None:
    assert not decisions(np.ones((3, 1, 3, 4, 2)), Design(3, 4, relabellings=200)).any()


def errors(agents: int, design: Design, apart: float = 0.0, against_first: bool = False) -> float:
    """Share of 400 studies in which two equal agents are told apart; the last one scores ``apart`` more."""
    rng, wrong = np.random.default_rng(agents), 0
    for chunk in range(8):
        scores = rng.normal(0, 1, (design.looks, 1, agents, design.block, 50))
        scores[:, :, -1] += apart
        decided = decisions(scores, design, seed=chunk)
        equal = decided[:-1, :-1] if apart else decided
        wrong += int(equal.any((0, 1)).sum())
    return wrong / 400


@pytest.mark.parametrize(("agents", "apart"), [(2, 0.0), (3, 0.0), (3, 3.0)])
def test_family_wise_error(agents: int, apart: float) -> None:
    """All agents equal, and two equal beside one that is found: the bound, and three standard errors of 400 studies."""
    found = errors(agents, Design(4, 3, relabellings=400), apart)
    assert 0.01 < found <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_each_against_the_first() -> None:
    design = Design(4, 3, relabellings=400, against_first=True)
    assert errors(3, design) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    scores = np.random.default_rng(0).normal(0, 1, (4, 1, 3, 3, 20))
    scores[:, :, 1:] += 5
    found = decisions(scores, design)
    assert (found[0, 1:] > 0).all()
    assert (found == found.transpose(1, 0, 2)).all()
    assert not found[1, 2].any()
