"""Effects measured at firings: the run does not change by a bit, signs of known effects, cost and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from surgeon import Patient
from tiny_runs import DRIFT, EVENTFUL, begin, finished, result, resumed, rows, state_digest, stopped, tiny

from composer.blueprint import BlueprintError
from composer.training.assemble import make_surgery

RESET = "{ kind = 'lerp', toward = { kind = 'fresh' } }"
MEASURE = "{ updates = 20, firings = 1 }"


def declared(
    do: str = RESET,
    measure: str = "",
    when: str = "{ kind = 'at', steps = [3] }",
    where: str = "['critic.*']",
    target: str = "follow",
) -> str:
    more = f", measure = {measure}" if measure else ""
    return f"interventions.it={{ when = {when}, where = {where}, do = {do}, target = '{target}'{more} }}"


class Measured(Patient):
    """A patient whose effects are kept."""

    def __init__(self, *overrides: str) -> None:
        super().__init__(*overrides)
        self.effects: list[tuple[int, Any]] = []
        self.surgery = make_surgery(
            self.blueprint,
            self.learner,
            lambda seed, event: self.events.append({"seed": seed, **event}),
            self.replay,
            lambda seed, metrics: self.effects.append((seed, metrics)),
        )


@pytest.mark.parametrize(
    ("do", "where"),
    [
        (RESET, "['*']"),
        ("{ kind = 'inject' }", "['critic.head.*', 'critic.trunk.2.*']"),
        ("{ kind = 'widen' }", "['critic.*']"),
    ],
)
def test_a_measured_learner_is_the_same_to_the_bit(do: str, where: str) -> None:
    plain, measured = (Measured("seeds=[0, 5]", declared(do, measure, where=where)) for measure in ("", MEASURE))
    for each in (plain, measured):
        each.update(5)
    theirs = plain.state()
    assert all(torch.equal(value, theirs[name]) for name, value in measured.state().items())
    assert plain.events == measured.events and not plain.effects
    assert [seed for seed, _ in measured.effects] == [0, 1]


def test_known_effects_have_their_sign_and_none_is_none() -> None:
    when, critic = "{ kind = 'at', steps = [60] }", "effects/it/critic/loss"
    patient = Measured("seeds=[0, 5, 7]", declared(measure="{ updates = 20 }", when=when))
    patient.update(60)
    assert [seed for seed, _ in patient.effects] == [0, 1, 2]
    for _, row in patient.effects:
        assert row[critic] > 0, "a reset raises the loss of a learner that has learned"
        assert row[f"{critic}/low"] < row[critic] < row[f"{critic}/high"]
    idle = Measured(declared("{ kind = 'nothing' }", MEASURE, target="keep"))
    idle.update(3)
    assert set(idle.effects[0][1].values()) == {0.0}, "equal forks are equal to the bit"


def test_only_the_seed_that_fires_is_measured_and_only_so_often() -> None:
    when = "{ kind = 'crossing', metric = 'critic/loss', above = 0.0, maximum = 3, clock = 'env' }"
    patient = Measured("seeds=[0, 5]", declared(measure="{ updates = 20, firings = 2 }", when=when))
    patient.update(3)
    for step in range(3):
        patient.surgery.fire_on_metrics(1, {"critic/loss": 1.0}, {"env": step, "update": 0, "interaction": 0})
    assert [seed for seed, _ in patient.effects] == [1, 1]
    assert patient.effects[0][1] != patient.effects[1][1]


def test_a_run_keeps_its_digest_and_resumes_exactly(tmp_path: Path) -> None:
    when = "{ kind = 'every', interval = 60, maximum = 2 }"
    of = [
        (*EVENTFUL, "algorithm.update_to_data=2.5", declared(measure=measure, when=when))
        for measure in ("", "{ updates = 10, firings = 1 }")
    ]
    plain, measured = (finished(tmp_path / str(index), *each)[0] for index, each in enumerate(of))
    assert state_digest(plain) == state_digest(measured)
    effects = [row for row in rows(measured) if row["type"] == "metrics" and "effects/it/critic/loss" in row["metrics"]]
    assert [row["seed"] for row in effects] == [0, 5]
    assert result(resumed(stopped(*begin(tmp_path / "stopped", *of[1]), at=80))) == result(measured)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (declared(measure="{ updates = 100_000 }"), "of the run's 99,950; limit 15%"),
        (declared(measure="{ signals = ['critc/loss'] }"), "did you mean 'critic/loss'"),
    ],
)
def test_what_cannot_be_measured_is_told_before_the_run(override: str, message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(DRIFT, "training.env_steps=100_000", override)
    assert message in str(caught.value)
