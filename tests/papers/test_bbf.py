"""BBF's horizons: n-step and discount anneal with the updates since the last reset, not since the start.

Source: Schwarzer et al., arXiv:2305.19452, and bigger_better_faster/bbf/agents/spr_agent.py: schedulers of
``cycle_grad_steps``, which ``reset_weights`` sets to 0.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tiny_dqn import tiny
from tiny_runs import go_on

from composer.training import assemble

LENGTH, EVERY, WARMUP = 12, 20, 20
BBF = (
    "algorithm.update_to_data=1.0",
    f"algorithm.n_step={{ kind = 'exponential', start = 10.0, end = 3.0, updates = {LENGTH} }}",
    f"algorithm.discount={{ kind = 'lengthening', start = 0.97, end = 0.997, updates = {LENGTH} }}",
    f"interventions.heads={{ use = 'bbf_head_reset', interval = {EVERY}, clock = 'interaction', spare_last = {EVERY}, "
    "where = ['value.head.*'] }",
    "training.env_steps=80",
)


def annealed(start: float, end: float, updates: int) -> float:
    """``exp(b (log start - log end) + log end)``, b falling from 1 to 0 within ``LENGTH`` updates since the reset."""
    left = min(max((LENGTH - updates) / LENGTH, 0.0), 1.0)
    return math.exp(left * (math.log(start) - math.log(end)) + math.log(end))


def test_horizons_lengthen_anew_after_each_reset(tmp_path: Path) -> None:
    run, session = assemble.start(tiny(*BBF), tmp_path, None)
    learner, memory, seen = session.learner, session.collector.memory, []  # type: ignore[attr-defined]
    draw = memory.draw

    def watched() -> object:
        lengths = learner.horizon.lengths
        seen.append((float(learner.n_step if lengths is None else lengths[0]), float(learner.discount[0])))
        return draw()

    memory.draw = watched
    go_on(session)
    run.close()
    assert len(seen) == 80 - WARMUP, "one update an interaction, after the warm-up"
    expected = []
    for update in range(len(seen)):
        before = WARMUP + update  # Interactions whose resets are over when this update is made.
        last = before // EVERY * EVERY if before <= 80 - EVERY else 80 - EVERY
        since = before - max(last, WARMUP)
        expected.append((float(round(10 * annealed(1.0, 0.3, since))), 1 - annealed(0.03, 0.003, since)))
    assert [n for n, _ in seen] == [n for n, _ in expected]
    assert [g for _, g in seen] == pytest.approx([g for _, g in expected], abs=1e-6)
    assert seen[0] == seen[EVERY] and seen[LENGTH][0] == 3.0, "the first update after a reset is that of the start"
