"""When sequential studies end."""

from __future__ import annotations

import numpy as np

from composer.studies.sequential.course import course
from composer.studies.sequential.permutation import Design

DESIGN = Design(8, 3, relabellings=400)


def drawn(apart: float, studies: int = 200, agents: int = 2, tasks: int = 1) -> np.ndarray:
    scores = np.random.default_rng(5).normal(0, 1, (DESIGN.looks, tasks, agents, DESIGN.block, studies))
    scores[:, :, -1] += apart
    return scores


def test_a_later_look_changes_nothing_of_an_earlier_one() -> None:
    """What makes a study that was killed go on as if it had not been: looks depend on finished scores alone."""
    scores = drawn(0.8, 50, agents=3, tasks=2)
    whole = course(scores, DESIGN)
    for look in range(1, DESIGN.looks + 1):
        part = course(scores[:look], DESIGN)
        done = part.is_over
        assert (part.looks[:, done] == whole.looks[:, done]).all()
        assert (part.decided[:, :, done] == whole.decided[:, :, done]).all()
        assert (part.decided[:, :, ~done] == np.where(whole.decided <= look, whole.decided, 0)[:, :, ~done]).all()
    assert whole.is_over.all()


def test_an_agent_that_is_told_apart_from_all_others_needs_no_more_seeds() -> None:
    scores = drawn(6.0, 20, agents=3)
    whole = course(scores, DESIGN)
    early = whole.looks[2].max()
    assert early <= 3
    assert (whole.looks[:2].max(0) > early).mean() > 0.2
    scores[early:, :, 2] = np.nan
    without = course(scores, DESIGN)
    assert (without.decided == whole.decided).all()
    assert (without.looks == whole.looks).all()


def test_hopeless_studies_end_early_and_reject_nothing_more() -> None:
    null, large = course(drawn(0.0), DESIGN), course(drawn(2.0), DESIGN)
    assert null.is_hopeless.mean() > 0.8
    assert not null.decided[:, :, null.is_hopeless].any()
    assert null.looks.mean() < 0.6 * DESIGN.looks
    assert (large.decided[0, 1] > 0).mean() > 0.99
    assert large.looks.mean() < 0.4 * DESIGN.looks


def test_power_at_the_effect_that_seventeen_seeds_find_in_four_of_five_studies() -> None:
    found = course(drawn(1.0, 400), DESIGN)
    assert abs((found.decided[0, 1] > 0).mean() - 0.8) < 3 * 0.02
    assert DESIGN.block * found.looks.mean() < 0.85 * 17
