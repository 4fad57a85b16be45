"""Value-based runs, stopped and resumed, end to the bit as runs that were never stopped; and what replay hears."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tiny_dqn import ACTIONS, RAINBOW, SPR, tiny
from tiny_runs import go_on, result, resumed, state_digest, stopped

from composer.training import assemble
from composer.training.runs.directory import Run
from composer.training.session import Session

pytestmark = pytest.mark.slow

FAMILIES = {"rainbow": RAINBOW, "spr": SPR}


class Family(NamedTuple):
    """A blueprint's overrides, and what a whole run under them leaves."""

    overrides: tuple[str, ...]
    whole: tuple[str, bytes]


def begin(runs: Path, *overrides: str) -> tuple[Run, Session]:
    return assemble.start(tiny(*overrides), runs, None)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    """One of the families, and a run of it that was never stopped."""
    overrides = (*FAMILIES[request.param], "seeds=[0, 5]", "training.acting={ value = 'target_value' }")
    run, parts = begin(tmp_path_factory.mktemp("whole"), *overrides)
    go_on(parts)
    run.close()
    return Family(overrides, result(run.path))


@pytest.mark.parametrize("at", [50, pytest.param(97, marks=pytest.mark.slow)])
def test_a_stopped_run_ends_as_if_never_stopped(at: int, family: Family, tmp_path: Path) -> None:
    """Alone proves exact resume of priorities, of stacked frames and of self-predictive representations."""
    path = stopped(*begin(tmp_path, *family.overrides), at)
    assert state_digest(path) != family.whole[0]
    assert result(resumed(path)) == family.whole


def test_replay_takes_in_what_the_update_found(tmp_path: Path) -> None:
    """After the run priorities are spread; all would stand at one, the first largest, had nothing been told."""
    run, parts = begin(tmp_path, *RAINBOW)
    go_on(parts)
    run.close()
    priorities = parts.collector.memory.tensors()["priorities"]  # type: ignore[attr-defined]
    held = priorities[priorities > 0]
    assert held.unique().numel() > 10
    assert parts.learner.reports["priority"].min() > 0
    reported = (parts.learner.reports["priority"].double() + 1e-10).sqrt()
    assert torch.isin(reported, priorities).all()


def test_actions_that_are_stored_are_choices(tmp_path: Path) -> None:
    """Alone looks at what a run of DQN stored: one-hot actions, and windows cut by a time limit."""
    run, parts = begin(tmp_path, "algorithm.n_step=3", "environment.limit=7")
    go_on(parts)
    run.close()
    drawn = parts.collector.batch()
    action = drawn.transitions.action
    assert action.shape[-1] == ACTIONS and torch.equal(action.sum(-1), torch.ones(action.shape[:2]))
    # Windows of three rewards that a time limit ends early are bootstrapped over their own length.
    allowed = torch.tensor([0.0, 0.99, 0.99**2, 0.99**3])
    bootstrap = torch.cat([parts.collector.batch().transitions.bootstrap.flatten() for _ in range(40)])
    nearest = (bootstrap[:, None] - allowed).abs().min(1)
    assert nearest.values.max() < 1e-6 and set(nearest.indices.tolist()) >= {1, 2, 3}
