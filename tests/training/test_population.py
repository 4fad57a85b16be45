"""Variants that differ in numbers, trained in one program, are what each is alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_runs import DRIFT, EAGER, EVENTFUL, rows, tiny, transitions
from torch import Tensor

from composer.blueprint.forecast.one_program import joined
from composer.tracking.console import Console
from composer.training import assemble
from composer.training.assemble import NewRun
from composer.training.learner import Learner
from composer.training.loop import FAILURES, Outcome, train
from composer.training.population.stack import Stack

NUMBERS = (
    "optimizers.actor.learning_rate={ kind = 'linear', start = 1e-3, end = 1e-4, updates = 30 }",
    "optimizers.critic.beta1=0.5",
    "optimizers.critic.weight_decay=0.3",
    "averages.target_critic.momentum=0.5",
    "algorithm.target_entropy_per_action=-3",
    "algorithm.initial_temperature=0.1",
    "algorithm.discount=0.5",
    "algorithm.n_step=3",
    "penalties.pull.coefficient=0.5",
)
SAME = (
    "optimizers.actor.learning_rate={ kind = 'linear', start = 1e-4, end = 1e-5, updates = 50 }",
    "penalties={ pull = { kind = 'l2_init', where = ['critic.*'], coefficient = 1e-3 } }",
    "interventions={ again = { when = { kind = 'every', interval = 20, clock = 'update' }, where = ['critic.head.*'], "
    "do = { kind = 'lerp', toward = { kind = 'initial' } } } }",
    "tracking.kind='none'",
)
EARLIER = "interventions.again.when.interval=15"


def members(*more: str) -> list[NewRun]:
    plain, other = tiny(*EVENTFUL, *SAME, *more), tiny(*EVENTFUL, *SAME, *NUMBERS, EARLIER, "seeds=[3, 0]", *more)
    return [NewRun("base", plain), NewRun("other", other, "other")]


def quiet(total: int) -> Console:
    return Console(total, enabled=False)


def close(tensors: dict[str, Tensor], others: dict[str, Tensor]) -> Iterator[str]:
    """Names of state that is not the same up to rounding."""
    for name, value in tensors.items():
        if not torch.allclose(value.double(), others[name].double(), rtol=2e-4, atol=2e-5):
            yield name


def test_each_run_of_several_is_what_it_is_alone(tmp_path: Path) -> None:
    found = members()
    together = assemble.start_together(found, tmp_path / "together")
    together.train(quiet(140))
    for beside, member in zip(together.runs, found, strict=True):
        end = beside.end
        run, parts = assemble.start(member.blueprint, tmp_path / "alone", member.variant)
        outcome = train(parts, quiet(140))
        assert list(close(beside.session.learner.tensors(), parts.learner.tensors())) == []
        assert [(row["type"], row.get("name")) for row in rows(beside.run.path)] == [
            (row["type"], row.get("name")) for row in rows(run.path)
        ]
        assert isinstance(end, Outcome) and end.updates == outcome.updates > 50
        assert torch.allclose(torch.tensor(end.returns), torch.tensor(outcome.returns), rtol=1e-3, atol=1e-3)
        # What a checkpoint holds is the run's own, and an agent is made of it.
        _, agent, _ = assemble.load_agent(beside.run.path)
        for name, value in agent.tensors().items():
            assert torch.equal(value, beside.session.learner.tensors()[name]), name
        for each in (beside.session, parts):
            each.close()
        for each_run in (beside.run, run):
            each_run.close()


def test_the_first_state_is_each_runs_own_to_the_bit_and_lies_in_the_whole() -> None:
    found = [member.blueprint for member in members()]
    parts = [Learner(blueprint.agent, "cpu", EAGER) for blueprint in found]
    before = [{name: value.clone() for name, value in part.tensors().items()} for part in parts]
    whole = Learner(joined(found).agent, "cpu", EAGER)
    Stack(whole, [2, 2], parts)
    for part, state in zip(parts, before, strict=True):
        for name, value in part.tensors().items():
            assert torch.equal(value, state[name]), name
            held = whole.tensors()[name]
            assert value.untyped_storage().data_ptr() == held.untyped_storage().data_ptr(), name
    first, second = (part.seeds for part in parts)
    assert whole.seeds == (*first, *second)


@pytest.mark.parametrize("falls", ["base", "other"])
def test_one_that_diverges_leaves_the_others_alone(tmp_path: Path, falls: str) -> None:
    wild = "optimizers.actor.learning_rate={ kind = 'linear', start = 1e29, end = 1e28, updates = 50 }"
    found = [
        each._replace(blueprint=tiny(*EVENTFUL, *SAME, wild)) if each.title == falls else each for each in members()
    ]
    together = assemble.start_together(found, tmp_path)
    together.train(quiet(140))
    ends = {each.session.title: each.end for each in together.runs}
    assert isinstance(ends.pop(falls), FAILURES)
    (sound,) = ends.values()
    assert isinstance(sound, Outcome) and sound.env_steps == 140
    for each in together.runs:
        each.session.close()
        each.run.close()


def test_updates_of_a_stack_are_those_of_its_parts() -> None:
    """Two updates a call, with numbers of their own, on batches of their own."""
    found = [
        tiny(DRIFT, *SAME, "compute.updates_per_call=2", *more) for more in ((), ("seeds=[4]", *NUMBERS[:6]), NUMBERS)
    ]
    alone, parts = ([Learner(blueprint.agent, "cpu", EAGER) for blueprint in found] for _ in range(2))
    seeds = [len(each.seeds) for each in found]
    stack = Stack(Learner(joined(found).agent, "cpu", EAGER), seeds, parts)
    batches = [[(transitions(part, number), {}) for number in range(2)] for part in parts]
    drawn = [[drawn_batch(*batch) for batch in each] for each in batches]
    for _ in range(3):
        stack.learn(dict(enumerate(drawn)))
        for agent, each in zip(alone, batches, strict=True):
            for batch in each:
                agent.update(*batch)
    for agent, part in zip(alone, parts, strict=True):
        assert list(close(part.tensors(), agent.tensors())) == []
        assert agent.drain_signals()[0] == pytest.approx(part.drain_signals()[0], rel=1e-3, abs=1e-4)


def drawn_batch(*batch: object) -> object:
    from composer.replay.transitions import Minibatch

    return Minibatch(*batch)  # type: ignore[arg-type]
