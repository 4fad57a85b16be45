"""Alternating twins, arXiv:2512.01034: both learn from the same batches, the other acts after a firing, one is new."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from surgeon import Patient, intervention
from tiny_runs import DRIFT, EVENTFUL, begin, finished, result, resumed, stopped, tiny
from torch import Tensor

from composer.blueprint import BlueprintError
from composer.replay.transitions import Minibatch

SEEDS, RUN_WIDE = "seeds=[0, 5]", ("updates", "signals", "normalization/")


def alternating(when: str = "{ kind = 'every', interval = 3 }", where: str = "['*']", target: str = "own") -> str:
    return intervention("{ kind = 'alternate' }", where, when, target=target)


class Twins(Patient):
    """A patient whose twin learns too."""

    def update(self, times: int = 1) -> None:
        for _ in range(times):
            self.updates += 1
            batch = [Minibatch(self.transitions(self.updates))]
            self.learner.learn(batch)
            self.surgery.learned(batch)
            self.surgery.fire_planned("update", self.updates - 1, self.updates)

    def twin(self) -> dict[str, Tensor]:
        """Copies of the passive agent's tensors."""
        prefix = "interventions/it/twin/"
        named = self.surgery.tensors().items()
        return {name.removeprefix(prefix): v.detach().clone() for name, v in named if name.startswith(prefix)}


def own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(RUN_WIDE)}


def test_the_twin_learns_as_if_it_were_alone_and_takes_over_while_the_other_begins_anew() -> None:
    patient, alone = Twins(SEEDS, alternating()), Patient(SEEDS)
    alone.learner.load({**alone.learner.tensors(), **patient.twin()})
    patient.update(2)
    for number in (1, 2):
        alone.learner.update(alone.transitions(number))
    theirs = own(alone.state())
    assert theirs and all(torch.equal(patient.twin()[name], value) for name, value in theirs.items())
    patient.update(1)
    alone.learner.update(alone.transitions(3))
    mine, fresh = own(patient.state()), patient.twin()
    assert all(torch.equal(mine[name], value) for name, value in own(alone.state()).items()), "the twin acts now"
    assert not any(value.any() for name, value in fresh.items() if name.startswith("optimizers/"))
    weight = "trunk.0.weight"
    assert not torch.equal(fresh[f"networks/critic/{weight}"], fresh[f"averages/target_critic/{weight}"])
    assert [event["active"] for event in patient.events] == [1, 1]
    patient.update(3)
    assert [event["active"] for event in patient.events[2:]] == [0, 0]
    assert not torch.equal(patient.twin()[f"networks/critic/{weight}"], fresh[f"networks/critic/{weight}"])


def test_averages_may_begin_as_copies() -> None:
    patient = Twins(alternating(target="follow"))
    patient.update(3)
    twin = patient.twin()
    for name, value in twin.items():
        if name.startswith("averages/target_critic/"):
            assert torch.equal(value, twin[name.replace("averages/target_critic", "networks/critic")])


def test_statistics_of_minibatches_are_moved_by_the_active_agent_alone() -> None:
    patient = Twins("normalization.observation={kind='batch_norm'}", alternating())
    patient.update(1)
    drawn = patient.transitions(1)
    both = torch.cat([drawn.observation, drawn.next_observation], 1).double()
    torch.testing.assert_close(patient.state()["normalization/observation/mean"], 0.1 * both.mean(1))


def test_resume_is_exact(tmp_path: Path) -> None:
    declared = (*EVENTFUL, alternating("{ kind = 'every', interval = 20 }"))
    run, _ = finished(tmp_path / "whole", *declared)
    assert result(resumed(stopped(*begin(tmp_path / "stopped", *declared), at=110))) == result(run)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((alternating(where="['critic.*']"),), "write where = ['*'], which takes actor."),
        ((alternating(target="keep"),), "write target = 'own' (as published)"),
        (
            (alternating(), "interventions.wide={ when = { kind = 'at', steps = [5] }, where = ['critic.trunk.*'], "
             "target = 'follow', do = { kind = 'widen' } }"),
            "twins have equal networks",
        ),
    ],
)  # fmt: skip
def test_what_cannot_alternate_is_told_before_the_run(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(DRIFT, *overrides)
    assert message in str(caught.value)
