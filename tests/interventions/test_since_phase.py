"""Triggers that count anew in each phase of labelled data."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_runs
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import begin, finished, result, resumed, rows, stopped

from composer.blueprint import Blueprint, BlueprintError, load
from composer.blueprint.forecast.timeline import timeline
from composer.interventions import At, Every, Lengths

DIGITS = Path(__file__).parents[2] / "blueprints" / "warm_start" / "digits.toml"
SHORT = (
    "environment.data.samples=100",
    "environment.phases=[{ epochs = 5, subset = 0.2 }, { updates = 23, subset = 0.5 }, {}]",
    "algorithm.batch_size=10",
    "training={ env_steps = 60, log_every = 5 }",
    "evaluation.every=20",
    "checkpoint.every=60",
    "tracking.kind='none'",
    "seeds=[0, 4]",
)
"""Phases of 10 batches (5 epochs of 2), 23 batches (4 whole epochs of 5) and 27 (2 whole epochs of 10)."""


def tiny(*overrides: str) -> Blueprint:
    """The digits in three phases."""
    return load(DIGITS, overrides).blueprint


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The helpers that make runs make them of this blueprint."""
    monkeypatch.setattr(tiny_runs, "tiny", tiny)


def when(trigger: str) -> str:
    """The override that has the fresh optimizer of the digits wait for a trigger."""
    return f"interventions.fresh_optimizer.when={trigger}"


@pytest.mark.parametrize(
    ("trigger", "steps"),
    [
        # Epochs end after batches 2, 4, 6, 8, 10 | 15, 20, 25, 30 | 43, 53.
        ("{ kind = 'every', interval = 2, first = 1, clock = 'epoch', since = 'phase' }", [2, 6, 10, 15, 25, 43]),
        ("{ kind = 'every', interval = 2, first = 1, clock = 'epoch' }", [2, 6, 10, 20, 30, 53]),
        ("{ kind = 'at', steps = [2], clock = 'epoch', since = 'phase' }", [4, 20, 53]),
        ("{ kind = 'every', interval = 9, since = 'phase' }", [9, 19, 28, 42, 51, 60]),
        ("{ kind = 'at', steps = [1, 20], clock = 'interaction', since = 'phase' }", [1, 11, 30, 34, 53]),
        ("{ kind = 'every', interval = 4, spare_last = 6, maximum = 2, clock = 'env', since = 'phase' }",
         [4, 14, 18, 37, 41]),
    ],
)  # fmt: skip
def test_moments_of_the_loop_and_of_the_timeline(trigger: str, steps: list[int], runs: None, tmp_path: Path) -> None:
    run, _ = finished(tmp_path, *SHORT, when(trigger))
    assert [row["env_step"] for row in rows(run) if row["type"] == "event" and row["seed"] == 4] == steps
    planned = [moment for moment in timeline(tiny(*SHORT, when(trigger))) if moment.key.endswith("fresh_optimizer")]
    assert planned[0].env_step == steps[0]
    assert sum(moment.count or 0 for moment in planned) == len(steps)
    assert ("counted anew in each phase" in planned[0].event) is ("since" in trigger)


def test_resume_beside_the_change_of_phase_is_exact(runs: None, tmp_path: Path) -> None:
    trigger = when("{ kind = 'every', interval = 2, first = 1, clock = 'epoch', since = 'phase' }")
    whole, _ = finished(tmp_path / "whole", *SHORT, trigger)
    for at in (9, 10, 33):
        run, parts = begin(tmp_path / str(at), *SHORT, trigger)
        assert result(resumed(stopped(run, parts, at))) == result(whole)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((when("{ kind = 'every', interval = 6, clock = 'epoch', since = 'phase' }"),), "never fires: 6 > 5"),
        (
            (when("{ kind = 'at', steps = [28], since = 'phase' }"),),
            "28 comes after the end of the longest phase (27 on the clock 'update')",
        ),
        ((when("{ kind = 'every', interval = 1, clock = 'phase', since = 'phase' }"),), "use 'start'"),
        (
            (
                when("{ kind = 'every', interval = 2, since = 'phase' }"),
                "environment.phases=[{ updates = 9, early_stopping = { patience = 1, every = 2 } }, {}]",
                "environment.last_batch='drop'",
            ),
            "phases may end early here",
        ),
        (
            (when("{ kind = 'every', interval = 2, since = 'phase' }"), "environment.phases=[{}]"),
            "there are no phases here",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_said(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(*SHORT, *overrides)
    assert message in str(caught.value)


@given(
    interval=st.integers(1, 12),
    first=st.integers(0, 12),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    stride=st.integers(1, 3),
)
def test_is_due_agrees_with_the_moments(interval: int, first: int, lengths: list[int], stride: int) -> None:
    starts = [sum(lengths[:index]) for index in range(len(lengths))]
    run = Lengths(sum(lengths), sum(lengths), sum(lengths), phase_starts={"update": starts})
    for trigger in (Every(interval=interval, first=first, since="phase"), At(steps=[interval], since="phase")):
        slow = [start + at for start, length in zip(starts, lengths, strict=True) for at in trigger.planned(length)]
        assert trigger.moments(run) == slow
        for now in range(stride, run.update + stride, stride):
            expected = any(now - stride < moment <= now for moment in slow)
            assert trigger.is_due(now - stride, now, run) is expected
