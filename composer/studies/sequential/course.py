"""When a sequential study ends: every pair told apart, hopeless, or out of looks; and what it has used by then. Pure.

Legend: J agents, K looks, T tasks, n seeds of a block, S studies. Tests: tests/studies/sequential/test_course.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from composer.studies.sequential.permutation import Design, Floats, Integers, decisions

HOPELESS: Final = 0.2
"""A pair is hopeless where the chance of telling it apart by the last look, were its difference half a standard error
larger than the one seen, is below this. Stopping there rejects nothing: it costs power, never level."""
NOMINAL: Final = 0.0107
"""About the one-sided level of each of several looks of a test of 0.05, for that chance alone."""


@dataclass(frozen=True)
class Course:
    """What studies have decided, and the seeds that they took."""

    decided: Integers
    """The look at which each pair was told apart, ``[J, J, S]``; 0 where it was not."""
    looks: Integers
    """Looks that each agent took part in, ``[J, S]``."""
    is_over: np.ndarray
    """Whether nothing is left to do, ``[S]``."""
    is_hopeless: np.ndarray
    """Whether it ended because every open pair was hopeless, ``[S]``."""

    def active(self, design: Design) -> list[int]:
        """The agents of the first study that some pair still needs."""
        agents = range(len(self.decided))
        pairs = [(one, other) for one in agents for other in agents if design.compares(one, other)]
        return sorted({one for one, other in pairs if not self.decided[one, other, 0]})


def course(scores: Floats, design: Design, seed: int = 0) -> Course:
    """The course of studies with these scores, ``[K', T, J, n, S]`` of K' looks, NaN where an agent took no part.

    A pure function of finished scores in the order of blocks: a later look changes nothing of an earlier one.
    """
    decided = decisions(scores, design, seed)
    agents, studies = scores.shape[2], scores.shape[-1]
    stop = np.zeros(studies, np.int64)
    pairs = np.array([[design.compares(one, other) for other in range(agents)] for one in range(agents)])[:, :, None]
    for look in range(1, len(scores) + 1):
        is_open = ((decided == 0) | (decided > look)) & pairs
        none_left = ~is_open.any((0, 1))
        hopeless = (_chance(scores[:look], design, is_open) < HOPELESS) | ~is_open
        ends = none_left | (hopeless.all((0, 1)) & (look > 1)) | (look == design.looks)
        stop[(stop == 0) & ends] = look
    last = np.where(stop == 0, len(scores), stop)
    decided = np.where(decided <= last, decided, 0)
    # An agent is trained until its last pair is decided; where one stays open, to the end.
    undecided = (decided == 0) & pairs
    looks = np.where(undecided.any(1), last, decided.max(1))
    open_at_end = undecided.any((0, 1))
    return Course(decided, looks, stop > 0, (stop > 0) & open_at_end & (last < design.looks))


def _chance(scores: Floats, design: Design, is_open: np.ndarray) -> Floats:
    """About the chance that each pair is told apart by the last look, ``[J, J, S]``: its conditional power."""
    from scipy.special import ndtr, ndtri

    looks, _, agents, block, studies = scores.shape
    left = design.looks - looks
    if left == 0 or looks * block < 3:
        return np.full((agents, agents, studies), float(left > 0))
    total = scores.mean(3).sum((0, 1))
    spread = scores.transpose(2, 1, 0, 3, 4).reshape(agents, scores.shape[1], looks * block, studies)
    each = spread.var(2, ddof=1).sum(1)
    deviation = np.sqrt((each[:, None] + each) / block)
    pairs = np.maximum(is_open.sum((0, 1)) / 2, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = np.abs(total[:, None] - total)
        trend = seen / looks + 0.5 * deviation / np.sqrt(looks)
        boundary = -ndtri(NOMINAL / pairs) * deviation * np.sqrt(design.looks)
        chance: Floats = ndtr((seen + left * trend - boundary) / (deviation * np.sqrt(left)))
    return np.nan_to_num(chance, nan=0.0)
