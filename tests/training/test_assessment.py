"""Policies that are assessed before they are trained: TD7's algorithm 2, written a second time one seed at a time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import Stopper, go_on, result, resumed, rows, stopped
from torch import Tensor

from composer.algorithms.policy_checkpoints import PolicyCheckpoints
from composer.blueprint import Blueprint, BlueprintError, load
from composer.training import assemble
from composer.training.collect.assessment import Assessment
from composer.training.interrupts import Interrupted
from composer.training.launch import unmade_updates
from composer.training.loop import train
from composer.training.runs.checkpoint import Checkpoints

TINY = Path(__file__).parent.parent / "tiny_td7.toml"
ASSESSED = "algorithm.policy_checkpoints={ episodes = 3, from_update = 40, reset_weight = 0.5 }"


class Published:
    """``maybe_train_and_checkpoint`` for one seed, with updates counted and no network."""

    def __init__(self, most: int, late: int, weight: float) -> None:
        self.most, self.late, self.weight = most, late, weight
        self.episodes, self.steps, self.updates, self.kept = 0, 0, 0, 0
        self.limit, self.lowest, self.best = 1, 1e8, -1e8

    def episode(self, length: int, total: float) -> None:
        self.episodes, self.steps, self.lowest = self.episodes + 1, self.steps + length, min(self.lowest, total)
        if self.lowest < self.best:
            self.train()
        elif self.episodes == self.limit:
            self.best = self.lowest
            self.kept += 1
            self.train()

    def train(self) -> None:
        for _ in range(self.steps):
            if self.updates == self.late:
                self.best *= self.weight
                self.limit = self.most
            self.updates += 1
        self.episodes, self.steps, self.lowest = 0, 0, 1e8


def step(returns: list[float], ended: list[bool]) -> Any:
    return SimpleNamespace(
        terminated=np.array(ended),
        truncated=np.zeros(len(ended), bool),
        episode_return=np.array(returns),
    )


@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 4), st.integers(-5, 9)), min_size=8, max_size=8), min_size=1, max_size=3
    ),
    st.integers(1, 4),
    st.integers(0, 15),
)
def test_decisions_are_those_of_the_released_code(episodes: list[list[tuple[int, int]]], most: int, late: int) -> None:
    """Several seeds at once, each with episodes of its own lengths and returns."""
    seeds = len(episodes)
    ours = Assessment(PolicyCheckpoints(episodes=most, from_update=late, reset_weight=0.5), seeds)
    theirs = [Published(most, late, 0.5) for _ in range(seeds)]
    clock, waiting = 0, [list(each) for each in episodes]
    left = [each[0][0] for each in waiting]
    while all(waiting):
        clock += 1
        left = [each - 1 for each in left]
        ended = [each == 0 for each in left]
        passed = ours.count(step([float(each[0][1]) for each in waiting], ended), clock)
        kept = [each.kept for each in theirs]
        for seed in range(seeds):
            if ended[seed]:
                length, total = waiting[seed].pop(0)
                theirs[seed].episode(length, total)
                left[seed] = waiting[seed][0][0] if waiting[seed] else -1
        while (active := ours.active) is not None:
            ours.advance(active)
        assert ours.done.tolist() == [each.updates for each in theirs]
        assert [bool(each) for each in (passed if passed is not None else torch.zeros(seeds))] == [
            each.kept > before for each, before in zip(theirs, kept, strict=True)
        ]
        best = ours.tensors()["best"].tolist()
        assert best == pytest.approx([each.best for each in theirs])


def test_a_policy_that_acted_at_random_for_a_part_is_not_assessed() -> None:
    assessment = Assessment(PolicyCheckpoints(), 1)
    assessment.acted_randomly()
    assert assessment.count(step([100.0], [True]), 5) is None and assessment.active is None
    passed = assessment.count(step([3.0], [True]), 9)
    assert passed is not None and passed.tolist() == [True] and assessment.due.tolist() == [9]
    assert assessment.drain() == [{"training/policy_checkpoints": 1.0, "training/checkpoint_return": 3.0}]


def blueprint_of(*overrides: str) -> Blueprint:
    return load(TINY, (ASSESSED, "training.env_steps=140", "evaluation.every=70", *overrides)).blueprint


def run_of(folder: Path, *overrides: str) -> tuple[Path, Any]:
    run, session = assemble.start(blueprint_of(*overrides), folder, None)
    go_on(session)
    run.close()
    return run.path, session


def test_seeds_that_rest_hold_still_and_each_learns_as_if_alone(tmp_path: Path) -> None:
    """Episodes of test/drift differ in length, so that the seeds make their updates at different times."""
    _, both = run_of(tmp_path / "both", "seeds=[0, 7]")
    alone = [run_of(tmp_path / str(seed), f"seeds=[{seed}]")[1] for seed in (0, 7)]
    done = both.collector.assessment.done.tolist()
    assert done == [each.collector.assessment.done.item() for each in alone] == both.learner.updates.tolist()
    assert done[0] != done[1] and both.clock.updates == max(done)
    for place, one in enumerate(alone):
        for name, value in one.learner.tensors().items():
            if name != "signals":
                found = both.learner.tensors()[name][place]
                torch.testing.assert_close(value[0], found, rtol=1e-4, atol=1e-6, msg=name)
        for name, generator in one.learner.generators().items():
            assert torch.equal(generator.get_state(), both.learner.generators()[name].get_state()), name
        priorities = [each.collector.memory.tensors()["priorities"] for each in (one, both)]
        torch.testing.assert_close(priorities[0][0], priorities[1][place])


def test_evaluations_use_the_policy_that_passed_with_its_encoder(tmp_path: Path) -> None:
    _, session = run_of(tmp_path)
    program, seen = session.learner.program, torch.randn(1, 4, 3)
    before = program.evaluate(seen, None)
    for name in ("actor", "fixed_state_encoder", "checkpoint_actor"):
        held = {**session.learner.networks, **session.learner.averages}[name]
        with torch.no_grad():
            for value in held.parameters.values():
                value.add_(0.1)
        now = program.evaluate(seen, None)
        assert torch.equal(now, before) == (name != "checkpoint_actor"), name
    program.keep_policy(torch.tensor([True]))
    assert torch.equal(program.evaluate(seen, None), program.act(seen, None))


def test_it_resumes_to_the_bit_between_interactions_and_between_updates(tmp_path: Path) -> None:
    whole, _ = run_of(tmp_path / "whole", "seeds=[0, 7]")
    cut, half = assemble.start(blueprint_of("seeds=[0, 7]"), tmp_path / "cut", None)
    assert result(resumed(stopped(cut, half, 60))) == result(whole)
    amid, session = assemble.start(blueprint_of("seeds=[0, 7]"), tmp_path / "amid", None)
    learn, calls = session.learner.learn, []

    def stopping(batches: Any) -> None:
        learn(batches)
        calls.append(1)
        if len(calls) == 30:
            Stopper(0).update(0, 0)

    session.learner.learn = stopping  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        train(session, Stopper(-1))
    session.close()
    amid.close()
    saved = Checkpoints(amid.path).load().tensors
    assert (saved["assessment/done"] < saved["assessment/due"]).any() and len(calls) == 30
    assert result(resumed(amid.path)) == result(whole)


@pytest.mark.parametrize("has_assessment", [True, False])
def test_a_fork_may_begin_or_end_to_assess(has_assessment: bool, tmp_path: Path) -> None:
    short = ("training.env_steps=60", "evaluation.every=60", "checkpoint.every=30")
    plain, assessed = load(TINY, short).blueprint, blueprint_of(*short)
    before, after = (plain, assessed) if has_assessment else (assessed, plain)
    run, session = assemble.start(before, tmp_path / "runs", None)
    go_on(session)
    run.close()
    longer = after.model_copy(update={"training": after.training.model_copy(update={"env_steps": 140})})
    withheld = session.clock.held
    fork, forked, notes = assemble.fork(run.path, longer, 60, 0, tmp_path / "forks")
    made = forked.learner.updates.item()
    told = [note for note in notes if "held back" in note]
    assert has_assessment or (withheld and f"{withheld} updates of a seed, held back while a policy" in told[0])
    assert not (has_assessment and told)
    go_on(forked)
    fork.close()
    assert forked.learner.updates.item() > made
    assert (forked.clock.held > 0) <= has_assessment
    if has_assessment:
        assert forked.collector.assessment.done.item() == forked.learner.updates.item() == forked.clock.updates


def test_interventions_come_at_the_updates_of_each_seed(tmp_path: Path) -> None:
    when = 'when = { kind = "every", interval = 11, clock = "update" }, where = ["actor.head.*"]'
    noise = f'interventions.reset={{ {when}, do = {{ kind = "perturb", scale = 0.1 }} }}'
    path, session = run_of(tmp_path, "seeds=[0, 7]", noise)
    done: Tensor = session.collector.assessment.done
    fired = [row for row in rows(path) if row["type"] == "event" and row.get("name") == "reset"]
    for seed, updates in zip((0, 7), done.tolist(), strict=True):
        assert [row["at"]["update"] for row in fired if row["seed"] == seed] == list(range(11, updates + 1, 11))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("environment.copies=2",), "an assessment follows one episode at a time: 1 copy for each seed"),
        (("averages.checkpoint_actor.momentum=0.9",), "the algorithm itself copies a policy there: set 1"),
        (("training.overlap=true",), "whether updates are made follows from the step of the environment"),
    ],
)
def test_what_cannot_be_assessed_is_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(BlueprintError, match=message):
        blueprint_of(*overrides)


def test_updates_that_were_never_made_are_told() -> None:
    """Six updates were due: seed 3 has made all of them, seed 5 four."""
    assessment = Assessment(PolicyCheckpoints(), 2)
    session: Any = SimpleNamespace(
        collector=SimpleNamespace(assessment=assessment), clock=SimpleNamespace(updates=4, held=2), seeds=(3, 5)
    )
    assessment.begin_after(torch.tensor([6, 4]))
    (said,) = unmade_updates(session)
    assert said.endswith("never made: 0 of seed 3, 2 of seed 5")
    assessment.begin_after(torch.tensor([6, 6]))
    assert not unmade_updates(session)
