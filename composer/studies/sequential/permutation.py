"""A group-sequential permutation test of several agents with strong control of the family-wise error. Pure.

The test of AdaStop (Mathieu et al., arXiv:2306.10882), with three changes. Statistics are absolute throughout (the
released code takes a signed maximum for the boundary, and rejects twice as often as it should). The seeds of all agents
that a hypothesis holds equal are relabelled together, and not pair by pair, so that its level is exact for any number
of seeds. And pairs are decided by closure (Marcus et al., Biometrika 63, 1976): which agents are equal is a partition
of the agents; each partition is a hypothesis with a test of its own, and a pair differs once every partition that holds
the two equal is rejected.

The test of one partition: seeds of a block are relabelled within its classes, independently in every block and task.
The statistic at look k is the largest difference of two agents of a class, each the sum of its scores in the first k
blocks. The boundary of look k is the smallest value that at most ``floor(B alpha sqrt(k / K))`` of B relabellings (the
data as they are among them) have exceeded at looks up to k; early looks get more of alpha than AdaStop's ``k / K``, for
which large effects take fewer seeds. Under the partition the data are one of B equally likely relabellings, so that at
most alpha of all studies exceed a boundary. That holds where equal agents have the same distribution of scores; with
equal means and unequal spreads it is approximate.
Legend: J agents, K looks, T tasks, n seeds of a block, B relabellings, S studies that are tested side by side.
Tests: tests/studies/sequential/test_permutation.py. Levels and power: docs/benchmarks/sequential.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Partition = tuple[tuple[int, ...], ...]
"""The classes of two or more agents that a hypothesis holds equal; all other agents stand alone."""
DESIGN_FILE: Final = "sequential.json"
"""Where a study whose seeds are added until it is decided keeps its design."""
ALPHA: Final = 0.05
MAX_AGENTS: Final = {False: 6, True: 9}
"""Most agents of all pairs, and of pairs with the first: 202 and 255 hypotheses."""


@dataclass(frozen=True)
class Design:
    """When is looked, and how sure a difference must be: fixed before the first seed."""

    looks: int = 5
    """Looks at the data, K."""
    block: int = 5
    """Seeds of every agent between two looks, n."""
    alpha: float = ALPHA
    """Bound of the probability that any two equal agents are told apart."""
    relabellings: int = 5_000
    """Relabellings, B, the data as they are among them."""
    against_first: bool = False
    """Whether agents are only told apart from the first, and not from each other."""

    def compares(self, one: int, other: int) -> bool:
        """Whether two agents are told apart at all."""
        return one != other and (not self.against_first or 0 in (one, other))

    def share(self, look: int) -> int:
        """Relabellings that may have exceeded a boundary at looks up to this one, counted from 1."""
        return int(self.relabellings * self.alpha * math.sqrt(look / self.looks) + 1e-9)

    def hypotheses(self, agents: int) -> Iterator[Partition]:
        """The partitions that hold two or more agents equal; of pairs with the first, one class with the first."""
        if self.against_first:
            others = range(1, agents)
            yield from (((0, *each),) for size in others for each in combinations(others, size))
            return
        for classes in _partitions([*range(agents)]):
            if equal := tuple(sorted(each for each in classes if len(each) > 1)):
                yield equal


def rejections(scores: Floats, design: Design, partition: Partition, seed: int = 0) -> Integers:
    """The look, from 1 on, at which a partition is rejected, ``[S]``; 0 where it is not.

    ``scores`` are ``[K', T, J, n, S]``, of the first K' looks. The relabellings are drawn from ``seed``, the partition
    and the number of the look, so that a later look does not change an earlier one.
    """
    looks, _, _, _, studies = scores.shape
    alive = np.ones((design.relabellings, studies), bool)
    spent, found = np.zeros(studies, np.int64), np.zeros(studies, np.int64)
    sums = [np.zeros((design.relabellings, len(each), studies)) for each in partition]
    for look in range(1, looks + 1):
        rng = np.random.default_rng([seed, look, *(agent for each in partition for agent in (*each, 99))])
        for total, agents in zip(sums, partition, strict=True):
            for task in scores[look - 1]:
                total += _relabelled(task[list(agents)], design.relabellings, rng)
        largest = np.max([_largest(total, design.against_first) for total in sums], axis=0)
        crossed = alive & (largest > _boundary(np.where(alive, largest, -np.inf), design.share(look) - spent))
        found[crossed[0] & (found == 0)] = look
        alive &= ~crossed
        spent += crossed.sum(0)
    return found


def decisions(scores: Floats, design: Design, seed: int = 0) -> Integers:
    """The look at which each pair of agents was told apart, ``[J, J, S]``; 0 where it was not. See ``rejections``."""
    agents, studies = scores.shape[2], scores.shape[-1]
    scores = _scaled(scores)
    decided = np.full((agents, agents, studies), np.iinfo(np.int64).max)
    decided[range(agents), range(agents)] = 0
    last = np.zeros_like(decided)
    for partition in design.hypotheses(agents):
        look = rejections(scores, design, partition, seed)
        for members in partition:
            for one in members:
                others = [other for other in members if other != one and design.compares(one, other)]
                last[one, others] = np.maximum(last[one, others], look)
                decided[one, others] = np.where(look == 0, 0, decided[one, others])
    return np.where(decided == 0, 0, last)


def _largest(sums: Floats, against_first: bool) -> Floats:
    """The largest difference of two agents of a class, or of one and the first: ``[B, m, S] -> [B, S]``."""
    apart = np.abs(sums - sums[:, :1]).max(1) if against_first else sums.max(1) - sums.min(1)
    return np.asarray(np.round(apart, 9), np.float64)


def _scaled(scores: Floats) -> Floats:
    """Scores with the largest at size 1: so sums of the same numbers in another order can be rounded to one number."""
    away = scores - np.nanmean(scores, axis=(0, 1, 2, 3))
    size = np.nanmax(np.abs(away), axis=(0, 1, 2, 3))
    return np.asarray(away / np.where(size > 0, size, 1.0), np.float64)


def _relabelled(task: Floats, count: int, rng: np.random.Generator) -> Floats:
    """The sum of each agent's scores under ``count`` relabellings, the first none: ``[m, n, S] -> [count, m, S]``."""
    agents, block, studies = task.shape
    order = _orders(count, agents * block, rng)
    # One matrix product does all studies: a row of zeros and ones chooses the seeds of one agent.
    chooses = np.zeros((count, agents, agents * block))
    np.put_along_axis(chooses, order.reshape(count, agents, block), 1.0, axis=2)
    sums = chooses.reshape(count * agents, -1) @ task.reshape(agents * block, studies)
    return sums.reshape(count, agents, studies)


def _orders(count: int, seeds: int, rng: np.random.Generator) -> Integers:
    """Orders of pooled seeds, ``[count, seeds]``; the first leaves them as they are."""
    order = np.argsort(rng.random((count, seeds)), axis=1)
    order[0] = range(seeds)
    return order


def _boundary(values: Floats, allowed: Integers) -> Floats:
    """The smallest of each column of ``values [B, S]`` that at most ``allowed [S]`` others exceed."""
    ordered = -np.sort(-values, axis=0)
    index = np.clip(allowed, 0, len(values) - 1)
    found: Floats = np.take_along_axis(ordered, index[None], axis=0)[0]
    return found


def _partitions(agents: list[int]) -> Iterator[list[tuple[int, ...]]]:
    if not agents:
        yield []
        return
    *rest, last = agents
    for classes in _partitions(rest):
        yield [*classes, (last,)]
        for index, members in enumerate(classes):
            yield [*classes[:index], (*members, last), *classes[index + 1 :]]
