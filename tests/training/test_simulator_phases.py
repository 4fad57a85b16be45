"""Simulators in phases: what happens at a boundary, by brute force; and runs that stop beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import EVENTFUL, Drift, begin, finished, go_on, interactions, result, resumed, rows, stopped, tiny
from torch import Tensor

from composer.environments import SimulatorPhases
from composer.environments.interface import EnvironmentFailure
from composer.spec.random_streams import derive
from composer.training import assemble
from composer.training.collect.phased import PhasedCollector
from composer.training.export.sources import source_of
from composer.training.fork import NotForkable
from composer.training.loop import saving_failures
from composer.training.session import Session

PHASES = "[{ env_steps = 40 }, { env_steps = 30, fresh = true, offset = 0.5 }]"
PLAIN = ("replay.capacity=200", "algorithm.n_step=3")
LIGHT = ("algorithm.update_to_data=0.2", "diagnostics={ measures = [] }")
REFRESH = (
    "interventions.refresh={ when = { kind = 'every', interval = 1, clock = 'phase' }, where = ['actor.head.*'], "
    "do = { kind = 'lerp', toward = { kind = 'fresh' }, amount = 0.5 } }"
)


def phased(phases: str = PHASES, cycles: int = 2, more: str = "", task: str = "{ kind = 'test/drift' }") -> list[str]:
    """Overrides: two phases, twice."""
    kind = f"kind = 'simulator_phases', task = {task}, phases = {phases}, cycles = {cycles}"
    return [*EVENTFUL, f"environment={{ {kind}{more} }}", *LIGHT]


def collector_of(session: Session) -> PhasedCollector:
    """Its collector."""
    assert isinstance(session.collector, PhasedCollector)
    return session.collector


def flags(session: Session) -> Tensor:
    """Reward, terminated and ended of all transitions of the first seed, ``[n, 3]``."""
    ring = collector_of(session).replay
    return ring._flags(torch.arange(ring.added).expand(2, -1))[0]


def test_until_a_boundary_a_run_is_that_of_its_task_alone(tmp_path: Path) -> None:
    shorter = ["training.env_steps=40", *PLAIN]
    _, alone = finished(tmp_path / "alone", *EVENTFUL, *LIGHT, *shorter)
    _, whole = finished(tmp_path / "phases", *phased("[{ env_steps = 40 }]", 1), *shorter)
    theirs = alone.learner.tensors()
    assert all(torch.equal(value, theirs[name]) for name, value in whole.learner.tensors().items())
    assert whole.returns == alone.returns


def test_a_boundary_truncates_episodes_and_no_window_goes_beyond(tmp_path: Path) -> None:
    run, session = begin(tmp_path, *phased(), *PLAIN)
    seen = []
    for _ in interactions(session):
        seen.append(collector_of(session).observation[0].copy())
    found, ring = flags(session), collector_of(session).replay
    ends = found[:, 2].nonzero()[:, 0].tolist()
    for boundary in (39, 69, 109, 139):
        assert boundary in ends or boundary == 139
        assert found[boundary, 1] == 0
    stored = ring._read(torch.arange(140).expand(2, -1))
    # The last observation of a phase is its own; the first one of the next has another order, shift and time 0.
    view = collector_of(session)._make.declared.view(1, 0)
    order, shift = view.order(3), view.shifts(3)
    first = stored.observation[0, 40].numpy() - shift
    np.testing.assert_allclose(first[order.argsort()][1:], 0, atol=1e-6)
    np.testing.assert_allclose(stored.next_observation[0, 39].numpy(), seen[39], atol=0)
    # Three rewards, but not over the boundary, and bootstrapped there.
    window = ring.windows(torch.tensor([[38], [38]]), 3, torch.tensor([0.9, 0.9]))
    assert window.reward[0, 0] == pytest.approx(float(found[38, 0] + 0.9 * found[39, 0]))
    assert window.bootstrap[0, 0] == pytest.approx(0.81)
    run.close()
    session.close()


CLEAR = ", replay = 'clear', statistics = 'reset'"


@pytest.mark.parametrize("more", [pytest.param("", marks=pytest.mark.slow, id="keep"), pytest.param(CLEAR, id="clear")])
def test_resume_beside_a_boundary_is_exact(more: str, tmp_path: Path) -> None:
    """Slow for the half that the other one nearly covers: a run is resumed at each of several moments."""
    overrides = [*phased(more=more), REFRESH]
    whole, _ = finished(tmp_path / "whole", *overrides)
    fired = [row["env_step"] for row in rows(whole) if row["type"] == "event" and row["seed"] == 5]
    assert fired == [40, 70, 110]
    for at in (39, 40) if more else (38, 69):
        run, session = begin(tmp_path / f"{at}", *overrides)
        assert result(resumed(stopped(run, session, at))) == result(whole), at


def test_what_is_cleared_and_reset_is_as_in_a_new_run(tmp_path: Path) -> None:
    run, session = begin(tmp_path, *phased(more=CLEAR))
    steps = interactions(session)
    for _ in range(40):
        next(steps)
    collector, statistics = collector_of(session), session.learner.statistics
    assert statistics is not None and collector.replay.size == 40
    next(steps)
    assert collector.replay.size == 1
    # The first observation of the phase, alone.
    assert statistics.weight[:, 0].tolist() == pytest.approx([1.0001, 1.0001])
    run.close()
    session.close()


@pytest.mark.slow
def test_a_failure_in_the_first_step_of_a_phase_is_repeated_in_that_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow because it takes three runs."""
    whole, _ = finished(tmp_path / "whole", *phased(), REFRESH)
    run, session = begin(tmp_path / "failing", *phased(), REFRESH)
    collector, calls = collector_of(session), []
    original = type(collector)._step

    def failing(self: PhasedCollector, actions: Any) -> Any:
        calls.append(actions)
        if len(calls) == 41:
            raise EnvironmentFailure("gone", 0, 0, 0, 0, None)
        return original(self, actions)

    monkeypatch.setattr(PhasedCollector, "_step", failing)
    with pytest.raises(EnvironmentFailure), saving_failures(session):
        go_on(session)
    session.close()
    run.close()
    monkeypatch.undo()
    assert result(resumed(run.path)) == result(whole)


def test_evaluations_play_the_ended_phase_and_the_one_before(tmp_path: Path) -> None:
    two = "[{ env_steps = 60 }, { env_steps = 60, task = { kind = 'test/drift', limit = 5, edge = 9.0 } }]"
    overrides = [*phased(two, 1, ", evaluate_earlier = true"), "training.env_steps=120", "evaluation.every=60"]
    run, session = finished(tmp_path, *overrides)
    found = {row["env_step"]: row["metrics"] for row in rows(run) if "evaluation/return" in row.get("metrics", {})}
    assert set(found[60]) == {"evaluation/return"}
    assert set(found[120]) == {"evaluation/return", "evaluation/return_of_phase_1"}
    assert found[120]["evaluation/return"] <= 5  # Five steps, at most one each.
    phases = [row["metrics"]["training/phase"] for row in rows(run) if "training/phase" in row.get("metrics", {})]
    assert phases == [1, 1, 1, 1, 2, 2, 2, 2]
    # Another process plays the task of the last phase too.
    blueprint, learner, _ = assemble.load_agent(run)
    evaluator = assemble.make_evaluator(blueprint, 2, "cpu")
    assert evaluator.returns(learner, 120).tolist() == session.returns
    evaluator.close()


def test_a_fork_may_change_what_is_still_to_come(tmp_path: Path) -> None:
    run, _ = finished(tmp_path / "runs", *phased(), "checkpoint.keep=9")
    longer = f"[{PHASES[1:-1]}, {PHASES[1:-1]}]"
    changed = tiny(*phased(longer), "training.env_steps=280")
    forked, session, _ = assemble.fork(run, changed, 120, 0, tmp_path / "forks")
    assert collector_of(session)._phase == 3
    session.close()
    forked.close()
    other = tiny(*phased(PHASES.replace("40", "30").replace("30, p", "40, p")))
    with pytest.raises(NotForkable, match="episodes in progress"):
        assemble.fork(run, other, 120, 0, tmp_path / "forks")


def test_an_exported_policy_is_held_to_what_the_last_phase_shows() -> None:
    declared = tiny(*phased()).environment
    assert isinstance(declared, SimulatorPhases)
    source = source_of(declared, 5, 41, 8)
    found = source.record(lambda seen: torch.zeros(len(seen), 2), 3)
    raw = Drift().make([derive(5, "episode", 0)], "evaluation").reset(episode=41)[0]
    view = declared.view(1, 5)
    np.testing.assert_array_equal(found.seen[0].numpy(), raw[view.order(3)] + view.shifts(3))
    assert "as phase 2 shows it" in source.spaces.notes[-1]
