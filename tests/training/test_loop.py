"""The loop's contract: how often it learns, who may touch what, and that equal blueprints give equal runs."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest
import torch
from tiny_runs import DRIFT, begin, finished, go_on, interactions, rows, state_digest, tiny

from composer.blueprint import BlueprintError
from composer.blueprint.forecast.clock import Clock
from composer.training import assemble
from composer.training.evaluation import EpisodeEvaluator
from composer.training.loop import training_steps
from composer.training.runs.checkpoint import Checkpoints
from composer.training.session import Session

SHORT = (DRIFT, "training.env_steps=150", "evaluation.every=150", "checkpoint.every=50", "training.log_every=30")


def play(parts: Session, number: int) -> None:
    """So many interactions, and nothing that watches them."""
    assert len(list(islice(interactions(parts), number))) == number


def hashes(parts: Session) -> dict[str, str]:
    """Every item of the state, replay included."""
    named = dict(parts.snapshot().tensors)
    held = parts.collector.replay.added - parts.collector.replay.size
    named["replay"] = parts.collector.replay.rows(held, parts.collector.replay.added)
    return {name: hashlib.sha256(t.detach().numpy().tobytes()).hexdigest() for name, t in named.items()}


@pytest.mark.parametrize("ratio", ["0.25", "0.3", "1", "2.5", "0.001"])
def test_updates_follow_the_ratio_exactly_and_evenly(ratio: str) -> None:
    clock, owed = Clock(stride=4, warmup=20, update_to_data=float(ratio)), []
    for learned in range(-19, 4_001):
        owed.append(clock.tick())
        # Never ahead of the ratio, and behind it by less than one.
        assert clock.updates == max(0, int(Fraction(ratio) * learned))
    assert sum(owed[:20]) == 0
    assert sum(owed) == clock.updates == clock.updates_by(4 * 4_020) == int(Fraction(ratio) * 4_000)
    least = int(float(ratio))
    assert set(owed[20:]) <= {least, least + 1}
    halves = sum(owed[20:2_020]), sum(owed[2_020:])
    assert abs(halves[0] - halves[1]) <= 1


@pytest.mark.parametrize("ratio", [0.25, 1.0, 2.0])
@pytest.mark.parametrize("untrained", [0, 1, 7])
def test_the_first_update_comes_after_so_many_actions_of_the_policy(untrained: int, ratio: float) -> None:
    """0: in the interaction of the last random action, as in SimBa's code; 1: after the policy's first, as in TD3's."""
    clock = Clock(stride=2, warmup=5, update_to_data=ratio, untrained=untrained)
    due = [clock.tick() for _ in range(60)]
    first = 5 + untrained + max(0, round(1 / ratio) - 1)
    assert due.index(next(filter(None, due))) + 1 == first
    assert sum(due) == clock.updates == int((60 - 4 - untrained) * ratio)
    assert clock.env_step_of(1, 120) == 2 * first
    assert clock.env_step_of(clock.updates, 120) is not None and clock.env_step_of(clock.updates + 1, 120) is None


@pytest.mark.parametrize(("untrained", "updates"), [(0, 41), (1, 40), (3, 38)])
def test_the_loop_learns_from_the_interaction_on_that_is_declared(untrained: int, updates: int, tmp_path: Path) -> None:
    given = (f"algorithm.untrained_interactions={untrained}", "training.env_steps=90")
    _, parts = finished(tmp_path, *SHORT, *given)
    assert parts.learner.updates.tolist() == [updates]


def test_updates_beside_the_first_step_of_all_have_nothing_to_draw() -> None:
    first = ("training.overlap=true", "algorithm.warmup_interactions=1")
    with pytest.raises(BlueprintError, match="before a transition is stored"):
        tiny(*first, "algorithm.untrained_interactions=0")
    tiny(*first)
    tiny("training.overlap=true", "algorithm.warmup_interactions=2", "algorithm.untrained_interactions=0")


@pytest.mark.parametrize("ratio", ["0.25", "0.3", "2.5"])
def test_the_loop_makes_the_updates_that_the_clock_owes(ratio: str, tmp_path: Path) -> None:
    _, parts = finished(tmp_path, *SHORT, f"algorithm.update_to_data={ratio}", "training.env_steps=90")
    assert parts.learner.updates.tolist() == [int(Fraction(ratio) * 40)] == [parts.clock.updates]


def test_a_clock_set_to_a_count_goes_on_like_one_that_got_there() -> None:
    walked = Clock(3, 5, 0.7)
    for _ in range(50):
        walked.tick()
    jumped = Clock(3, 5, 0.7, interactions=50)
    for _ in range(50):
        assert (walked.tick(), walked.due(7), walked.due(100)) == (jumped.tick(), jumped.due(7), jumped.due(100))


@pytest.mark.parametrize(("stride", "every"), [(1, 1), (8, 20), (8, 8), (8, 3), (3, 1_000)])
def test_what_is_due_comes_once_for_every_multiple_passed(stride: int, every: int) -> None:
    clock, due = Clock(stride, 0, 1.0), []
    for _ in range(200):
        clock.tick()
        due.append(clock.due(every))
    steps = [(k + 1) * stride for k in range(200)]
    assert due == [step // every > (step - stride) // every for step in steps]
    assert sum(due) == min(200, 200 * stride // every)


def test_a_row_recorded_just_before_a_save_is_part_of_it(tmp_path: Path) -> None:
    run, parts = begin(tmp_path, *SHORT)
    play(parts, 3)
    parts.record("event", name="reset", seed=None)
    parts.save()
    text = (run.path / "journal.jsonl").read_bytes()
    assert b"reset" in text
    assert Checkpoints(run.path).load().values["journal_offset"] == len(text)
    parts.close()


def test_evaluation_touches_nothing_of_training(tmp_path: Path) -> None:
    _, parts = begin(tmp_path, *SHORT, "seeds=[0, 1]")
    play(parts, 70)
    before = hashes(parts)
    returns = parts.evaluator.returns(parts.learner, 5)
    again = parts.evaluator.returns(parts.learner, 5)
    other = parts.evaluator.returns(parts.learner, 6)
    assert hashes(parts) == before
    assert returns.shape == (2, 2)
    # Equal numbers are equal episodes; others, and those of other seeds, are not.
    assert (returns == again).all()
    assert len({*returns.flatten(), *other.flatten()}) == 8
    parts.close()


def test_an_episode_does_not_depend_on_how_many_are_played(tmp_path: Path) -> None:
    blueprint = tiny(*SHORT, "seeds=[0, 1]")
    _, parts = assemble.start(blueprint, tmp_path, None)
    many = EpisodeEvaluator.of(blueprint.environment, (0, 1), 5).returns(parts.learner, 3)
    few = EpisodeEvaluator.of(blueprint.environment, (0, 1), 2).returns(parts.learner, 3)
    assert many[:, :2] == pytest.approx(few, rel=1e-4)
    parts.close()


def test_how_often_an_agent_is_evaluated_changes_no_number_of_training(tmp_path: Path) -> None:
    """Exploration, learning, replay and training episodes have streams of their own."""
    one, parts = finished(tmp_path, *SHORT)
    two, others = finished(tmp_path, *SHORT, "evaluation.episodes=5", "evaluation.every=20")
    assert hashes(parts) == hashes(others)

    def training(run: Path) -> list[tuple[int, dict[str, float]]]:
        found = [(row["env_step"], row["metrics"]) for row in rows(run)]
        return [(step, metrics) for step, metrics in found if "evaluation/return" not in metrics]

    assert training(one) == training(two)
    assert training(one)


def test_statistics_see_each_environment_step_once_and_not_the_first_observation(tmp_path: Path) -> None:
    _, parts = begin(tmp_path, *SHORT, "environment={ kind = 'test/drift', copies = 3, action_repeat = 2 }")
    seen = []
    observe = parts.learner.observe
    parts.learner.observe = lambda values: (seen.append(values.clone()), observe(values))[1]  # type: ignore[method-assign]
    first = parts.collector.observation.copy()
    play(parts, 11)
    assert len(seen) == 10
    assert all(values.shape == (1, 3, 3) for values in seen)
    assert not any(torch.equal(values[0], torch.from_numpy(first)) for values in seen)
    assert parts.learner.statistics is not None
    assert parts.learner.statistics.weight.item() == pytest.approx(30 + 1e-4)
    # 66 environment steps (3 copies, repeat 2), 33 transitions.
    assert (parts.clock.env_steps, parts.collector.replay.added) == (66, 33)
    parts.close()


def test_replay_keeps_raw_observations_and_terminal_ones(tmp_path: Path) -> None:
    _, parts = begin(tmp_path, *SHORT)
    raw, ended = [], []
    step = parts.collector.environments.step

    def watch(actions):  # type: ignore[no-untyped-def]
        raw.append(parts.collector.observation.copy())
        result = step(actions)
        ended.append((result.final_observation.copy(), (result.terminated | result.truncated)[0]))
        return result

    parts.collector.environments.step = watch  # type: ignore[method-assign]
    play(parts, 60)
    stored = parts.collector.replay.rows(0, 60)[:, 0]
    for row, before, (after, end) in zip(stored, raw, ended, strict=True):
        assert torch.equal(row[:3], torch.from_numpy(before[0]))
        assert torch.equal(row[-3:], torch.from_numpy(after[0]))
        assert bool(row[7]) == end
    assert sum(end for _, end in ended) >= 2
    parts.close()


def test_the_journal_holds_what_was_learned(tmp_path: Path) -> None:
    run, parts = finished(tmp_path, *SHORT, "seeds=[4, 2]")
    found = rows(run)
    for seed in (4, 2):
        metrics = {row["env_step"]: row["metrics"] for row in found if row["seed"] == seed and len(row["metrics"]) > 2}
        assert sorted(metrics) == [60, 90, 120, 150]  # From the end of the warm-up, every 30.
        assert set(parts.learner.program.signals) <= set(metrics[90])
        assert any("training/return" in row for row in metrics.values())
    last = [row["metrics"]["evaluation/return"] for row in found if "evaluation/return" in row["metrics"]]
    assert last == pytest.approx([sum(row) / 2 for row in parts.returns])
    assert all("time" not in row for row in found)


def test_equal_blueprints_give_equal_runs_byte_by_byte(tmp_path: Path) -> None:
    one, _ = finished(tmp_path, *SHORT, "seeds=[0, 7]")
    two, _ = finished(tmp_path, *SHORT, "seeds=[0, 7]")
    other, _ = finished(tmp_path, *SHORT, "seeds=[0, 8]")
    assert state_digest(one) == state_digest(two) != state_digest(other)
    journals = [(run / "journal.jsonl").read_bytes() for run in (one, two, other)]
    assert journals[0] == journals[1] != journals[2]
    assert len(journals[0]) > 1_000


def test_a_ring_that_cannot_fill_is_not_allocated(tmp_path: Path) -> None:
    run, parts = finished(tmp_path, *SHORT, "replay.capacity=1_000_000", "environment.copies=4")
    replay = parts.collector.replay
    assert replay.capacity == replay.added == 4 * 38  # 150 environment steps, four at a time.
    small, _ = finished(tmp_path, *SHORT, "replay.capacity=152", "environment.copies=4")
    assert state_digest(run) == state_digest(small)


def test_going_on_after_the_end_does_nothing(tmp_path: Path) -> None:
    _, parts = begin(tmp_path, *SHORT, "training.env_steps=60")
    go_on(parts)
    before = hashes(parts)
    assert list(interactions(parts)) == []
    assert hashes(parts) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        pytest.param(("algorithm.update_to_data=3",), marks=pytest.mark.slow),
        ("algorithm.update_to_data=2.5", "seeds=[0, 5]"),
        # Fires at every fifth update: a call ends there, or makes one update.
        pytest.param(
            (
                "algorithm.update_to_data=4",
                "interventions={ a = { when = { kind = 'every', interval = 5 }, where = ['critic.head.*'], "
                "do = { kind = 'perturb', scale = 0.1 } } }",
            ),
            marks=pytest.mark.slow,
        ),
        # Batches follow from the updates before them.
        ("algorithm.update_to_data=2", "algorithm.n_step={ kind = 'linear', start = 5, end = 1, updates = 60 }"),
    ],
)
def test_several_updates_a_call_are_those_of_single_calls(tmp_path: Path, setting: tuple[str, ...]) -> None:
    """Alone runs the loop with several updates per call, to the bit the run with one."""
    overrides = (DRIFT, "tracking.kind='none'", "training.env_steps=140", *setting)
    _, one = finished(tmp_path, *overrides)
    _, two = finished(tmp_path, *overrides, "compute.updates_per_call=2")
    for name, value in one.learner.tensors().items():
        assert torch.equal(value, two.learner.tensors()[name]), name
    assert one.clock.updates == two.clock.updates > 100


def test_a_call_makes_several_updates_only_where_it_may(tmp_path: Path) -> None:
    fires = "interventions={ a = { when = { kind = 'at', steps = [6] }, where = ['critic.head.*'], "
    fires += "do = { kind = 'perturb', scale = 0.1 } } }"
    setting = ("algorithm.update_to_data=4", "algorithm.warmup_interactions=10", fires)
    run, parts = begin(tmp_path, DRIFT, "tracking.kind='none'", "compute.updates_per_call=2", *setting)
    calls = [len(asked) for asked in islice(training_steps(parts), 10 + 2 * 3)]
    assert calls == [0] * 10 + [2, 2, 0, 2, 2, 0]
    parts.close()
    run.close()
    run, parts = begin(tmp_path, DRIFT, "tracking.kind='none'", "compute.updates_per_call=3", *setting)
    calls = [len(asked) for asked in islice(training_steps(parts), 10 + 3 + 5)]
    # Due after the sixth update, in the midst of a call: single ones until it is made.
    assert calls == [0] * 10 + [3, 1, 0] + [1, 1, 1, 1, 0]
    parts.close()
    run.close()
