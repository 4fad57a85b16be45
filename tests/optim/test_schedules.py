"""Schedules in their closed forms; horizons that lengthen after each reset, BBF, arXiv:2305.19452."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tiny_runs import DRIFT, EVENTFUL, begin, finished, learner, result, resumed, stopped, tiny, transitions

from composer.algorithms.discount import Lengthening
from composer.blueprint import BlueprintError
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Constant, Cosine, Exponential, InTurn, Linear, Schedule, Warmup


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Linear(start=1.0, end=3.0, updates=4), [1.0, 1.5, 3.0, 3.0]),
        (Cosine(start=3.0, end=1.0, updates=4), [3.0, 2 + math.sqrt(0.5), 1.0, 1.0]),
        (Exponential(start=10.0, end=3.0, updates=4), [10.0, 10 * 0.3**0.25, 3.0, 3.0]),
        (Warmup(value=2.0, updates=4, start=0.5), [1.0, 1.25, 2.0, 2.0]),
        (Warmup(value=2.0, updates=4, start=0.0), [0.0, 0.5, 2.0, 2.0]),
    ],
)
def test_closed_forms(schedule: Schedule, expected: list[float]) -> None:
    at = schedule.build(Hyperparameters(4, "cpu"))
    torch.testing.assert_close(at(torch.tensor([0.0, 1.0, 4.0, 9.0], dtype=torch.float64)), torch.tensor(expected))
    assert schedule.bounds() == (pytest.approx(min(expected)), pytest.approx(max(expected)))
    assert schedule.points() == ((0, pytest.approx(expected[0])), (4, pytest.approx(expected[2])))


FROM_OR_TO_ZERO = (
    "{ kind = 'linear', start = 1e-3, end = 0.0, updates = 100 }",
    "{ kind = 'warmup', value = 1e-3, start = 0.0, updates = 100 }",
    "{ kind = 'periodic', every = 2, value = 0.0, at = 1e-3 }",
)


@pytest.mark.parametrize("rate", FROM_OR_TO_ZERO)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd", "upgd"])
def test_a_learning_rate_may_begin_or_end_at_zero(optimizer: str, rate: str, tmp_path: Path) -> None:
    """Linear to 0 is the usual schedule of PPO; where the rate is 0 the parameters stay, decay included."""
    agent = learner(f"optimizers.actor={{ kind = '{optimizer}', learning_rate = {rate} }}")
    for updates in (0, 200):
        agent.updates.fill_(updates)
        agent.optimizers["actor"].clock().fill_(updates)
        before = {path: value.clone() for path, value in agent.parameters("actor").items()}
        agent.update(transitions(agent))
        moved = any(not torch.equal(value, before[path]) for path, value in agent.parameters("actor").items())
        at_zero = {("linear", 200), ("warmup", 0), ("periodic", 0), ("periodic", 200)}
        assert moved == ((rate.split("'")[1], updates) not in at_zero)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0", "must be > 0, got 0"),
        ("-1e-3", "must be > 0, got -0.001"),
        ("{ kind = 'linear', start = 0.0, end = 0.0, updates = 9 }", "must be > 0, got 0"),
        ("{ kind = 'linear', start = 1e-3, end = -1e-3, updates = 9 }", "must be > 0, got -0.001"),
    ],
)
def test_a_learning_rate_that_is_never_above_zero_is_refused(value: str, said: str) -> None:
    with pytest.raises(BlueprintError, match=said):
        tiny(f"optimizers.actor.learning_rate={value}")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("optimizers.actor.learning_rate", "{ kind = 'linear', start = 1e-3, end = -1e-3, updates = 9 }", ".end: "),
        ("optimizers.actor.learning_rate", "{ kind = 'constant', value = -1 }", ".value: must be > 0, got -1"),
        ("optimizers.actor.learning_rate", "{ kind = 'linear', start = 0.0, end = 0.0, updates = 9 }", ": must be > 0"),
        (
            "optimizers.actor.learning_rate",
            "{ kind = 'in_turn', updates = [9], schedules = [1e-3, { kind = 'warmup', value = -2, updates = 9 }] }",
            ".schedules[1].value: must be > 0, got -2",
        ),
        (
            "optimizers.actor.learning_rate",
            "{ kind = 'in_turn', updates = [9], schedules = [-3, 1e-3] }",
            ".schedules[0]: must be > 0, got -3",
        ),
        (
            "averages.target_critic.momentum",
            "{ kind = 'in_turn', updates = [9], schedules = [1, { kind = 'warmup', value = 2, updates = 9 }] }",
            ".schedules[1].value: must be in 0 to 1, got 0.02 to 2",
        ),
    ],
)
def test_a_schedule_out_of_bounds_is_refused_at_the_value_that_is(key: str, value: str, said: str) -> None:
    with pytest.raises(BlueprintError, match=re.escape(f"{key}{said}")):
        tiny(f"{key}={value}")


def test_schedules_in_turn_count_from_their_own_starts() -> None:
    """A warm-up for each of two phases, as the released code of arXiv:2406.02596 builds one, then a constant."""
    warm_ups = [Warmup(value=2.0, updates=4, start=0.0), Warmup(value=3.0, updates=2, start=0.0)]
    schedule = InTurn(schedules=[*warm_ups, Constant(value=0.5)], updates=[6, 3])
    at = schedule.build(Hyperparameters(12, "cpu"))(torch.arange(12, dtype=torch.float64))
    expected = [0.0, 0.5, 1.0, 1.5, 2.0, 2.0, 0.0, 1.5, 3.0, 0.5, 0.5, 0.5]
    torch.testing.assert_close(at, torch.tensor(expected))
    assert schedule.bounds() == (0.0, 3.0)
    assert schedule.points() == ((0, 0.0), (4, 2.0), (6, 0.0), (8, 3.0), (9, 0.5))
    with pytest.raises(ValidationError, match="1 lengths for 3 schedules"):
        InTurn(schedules=schedule.schedules, updates=[6])


def test_a_shortfall_shrinks_by_equal_factors() -> None:
    course = Lengthening(start=0.97, end=0.997, updates=100).complement_schedule().build(Hyperparameters(3, "cpu"))
    discount = 1 - course(torch.tensor([0.0, 50.0, 100.0], dtype=torch.float64))
    torch.testing.assert_close(discount, torch.tensor([0.97, 1 - math.sqrt(0.03 * 0.003), 0.997]))


CYCLE = (
    "algorithm.n_step={ kind = 'exponential', start = 10, end = 3, updates = 40 }",
    "algorithm.discount={ kind = 'lengthening', start = 0.97, end = 0.997, updates = 40 }",
)


def test_the_horizon_begins_anew_where_a_reset_says_so() -> None:
    from surgeon import Patient, intervention

    reset = intervention(
        "{ kind = 'lerp', toward = { kind = 'fresh' } }",
        '["critic.head.*"]',
        "{ kind = 'at', steps = [30] }",
        moments="zero",
        target="own",
        schedules="restart",
    )
    patient = Patient("seeds=[0, 5]", *CYCLE, reset)
    seen = []
    for _ in range(50):
        patient.learner.follow_schedules()
        assert patient.learner.horizon.lengths is not None
        seen.append((patient.learner.horizon.lengths.tolist(), patient.learner.discount[1].item()))
        patient.update()
    lengths = [round(10 * 0.3 ** (min(t, 40) / 40)) for t in range(31)]
    assert [each for each, _ in seen[:30]] == [[n, n] for n in lengths[:30]]
    assert [each for each, _ in seen[30:]] == [[n, n] for n in lengths[:20]], "as at the beginning"
    assert seen[0][1] == pytest.approx(0.97) and seen[30][1] == pytest.approx(0.97)
    assert seen[29][1] == pytest.approx(1 - 0.03 * 0.1 ** (29 / 40))


def test_windows_have_the_length_of_their_seed(tmp_path: Path) -> None:
    run, parts = finished(tmp_path, *EVENTFUL)
    agent, replay = parts.learner, parts.collector.replay  # type: ignore[attr-defined]
    indices = torch.arange(20).expand(2, 20)
    discount = torch.tensor([0.9, 0.8])
    both = replay.windows(indices, 4, discount, torch.tensor([1.0, 4.0]))
    for seed, length in enumerate((1, 4)):
        alone = replay.windows(indices, length, discount)
        assert all(torch.equal(got[seed], want[seed]) for got, want in zip(both, alone, strict=True))
    assert agent.horizon.lengths is None and run.exists()


def test_resume_is_exact_while_the_horizon_changes(tmp_path: Path) -> None:
    run, _ = finished(tmp_path / "whole", *EVENTFUL, *CYCLE)
    assert result(resumed(stopped(*begin(tmp_path / "half", *EVENTFUL, *CYCLE), at=79))) == result(run)


def test_a_constant_is_a_whole_number_of_steps() -> None:
    assert learner("algorithm.n_step=3").n_step == 3
    assert tiny(DRIFT, "algorithm.n_step=3").model_dump()["algorithm"]["n_step"] == 3
    for wrong in ("2.5", "0", "101", "{ kind = 'linear', start = 0, end = 3, updates = 5 }"):
        with pytest.raises(BlueprintError, match="must be"):
            tiny(DRIFT, f"algorithm.n_step={wrong}")
    with pytest.raises(ValidationError):
        Exponential(start=0.0, end=1.0, updates=3)
