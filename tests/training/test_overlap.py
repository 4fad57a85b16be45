"""Environments that step beside the updates: what updates then learn from, and that runs stay exact."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_runs import DRIFT, EVENTFUL, begin, finished, interactions, result, resumed, stopped, tiny

from composer.blueprint import BlueprintError
from composer.environments.interface import EnvironmentFailure
from composer.training import assemble

OVERLAP = "training.overlap=true"


def test_an_update_does_not_see_the_step_that_it_runs_beside(tmp_path: Path) -> None:
    held: list[list[int]] = []
    for overlap in ("false", "true"):
        blueprint = tiny(DRIFT, "training.env_steps=60", f"training.overlap={overlap}")
        run, parts = assemble.start(blueprint, tmp_path / overlap, None)
        seen: list[int] = []
        draw = parts.collector.batch

        def batch(draw=draw, parts=parts, seen=seen):  # type: ignore[no-untyped-def]
            seen.append(parts.collector.replay.added)  # type: ignore[attr-defined]
            return draw()

        parts.collector.batch = batch  # type: ignore[method-assign]
        for _ in interactions(parts):
            assert parts.collector.replay.added == parts.clock.interactions  # type: ignore[attr-defined]
        held.append(seen)
        parts.close()
        run.close()
    at_once, beside = held
    assert at_once and beside == [count - 1 for count in at_once]


@pytest.mark.slow
def test_runs_are_reproduced_and_resumed_to_the_bit(tmp_path: Path) -> None:
    """Alone trains beside the updates to the end, alone, in workers and after a stop: five runs."""
    run, _ = finished(tmp_path / "whole", *EVENTFUL, OVERLAP)
    again, _ = finished(tmp_path / "again", *EVENTFUL, OVERLAP, "environment.workers=2")
    assert result(again) == result(run)
    assert result(resumed(stopped(*begin(tmp_path / "half", *EVENTFUL, OVERLAP), at=79))) == result(run)
    plain, _ = finished(tmp_path / "plain", *EVENTFUL)
    assert result(plain) != result(run)


def test_a_failure_beside_the_updates_is_told(tmp_path: Path) -> None:
    blueprint = tiny('environment={ kind = "test/drift", raises_at = 47 }', OVERLAP)
    run, parts = assemble.start(blueprint, tmp_path, None)
    with pytest.raises(EnvironmentFailure, match="no mass"):
        for _ in interactions(parts):
            torch.zeros(1)
    parts.close()
    run.close()


def test_what_acts_on_nothing_has_nothing_to_overlap() -> None:
    with pytest.raises(BlueprintError, match="supervised does not learn from a replay"):
        from composer.blueprint import load
        from composer.blueprint.syntax.extends import shipped

        load(shipped()["plasticity/shuffled_labels"], [OVERLAP])
