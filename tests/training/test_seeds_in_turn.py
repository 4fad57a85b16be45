"""Seeds that take turns learn what they learn in a stacked update, and what each learns alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import EAGER, EVENTFUL, begin, finished, learner, result, resumed, stopped, tiny, transitions

from benchmarks.gpu.agents import CASES, Case, agent, given, learn
from benchmarks.gpu.setting import Setting
from composer.blueprint import load
from composer.blueprint.forecast import in_turn
from composer.blueprint.forecast.program_key import program_key
from composer.blueprint.syntax.extends import shipped
from composer.tracking.console import Console
from composer.training import assemble
from composer.training import learner as learning
from composer.training.assemble import NewRun
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.loop import train

RESET = (
    "interventions={ again = { when = { kind = 'every', interval = 20, clock = 'update' }, "
    "where = ['critic.head.*'], do = { kind = 'lerp', toward = { kind = 'initial' } } } }"
)
CANCEL = {"xqc": ["networks/actor/trunk.0.bias", "networks/critic/trunk.0.bias"]}
"""Parameters that change no output: the next batch norm takes out their shift, so that Adam steps by rounding."""
QUICK = [case for case in CASES if case.name in ("sac, scalar", "dqn, Rainbow")]
ONE_WORKER = Choice(True, "a test that compiles nothing")


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Makes the seeds of small agents take turns too, or none."""
    return lambda wanted: monkeypatch.setattr(in_turn, "IN_TURN_FLOPS", 0.0 if wanted else float("inf"))


def quiet() -> Console:
    return Console(140, enabled=False)


def apart(tensors: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> list[str]:
    """Names of state that is not the same up to rounding."""
    assert tensors.keys() == others.keys()
    return [
        name
        for name, value in tensors.items()
        if not torch.allclose(value.double(), others[name].double(), rtol=2e-4, atol=2e-5)
    ]


def said(one: Learner) -> dict[str, torch.Tensor]:
    return {**one.tensors(), **{f"reports/{name}": value for name, value in one.reports.items()}}


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_every_agent_learns_in_turn_what_it_learns_stacked(
    case: Case, turns: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone compares every tensor of each algorithm after three updates, with a worker per seed and one for all."""
    # One worker that moves from seed to seed, as where it is compiled.
    monkeypatch.setattr(learning, "capture", lambda function, *_: function)
    setting = Setting("cpu", "toy", 1, tmp_path, tmp_path, False)
    found = []
    for wanted, choice in ((False, EAGER), (True, EAGER), (True, ONE_WORKER)):
        turns(wanted)
        one = agent(case.load(setting), "cpu", choice)
        assert [*learn(one, given(one, 3))] == [1, 2, 3]
        found.append(said(one.learner))
    stacked, *others = found
    for other in others:
        assert all(value.shape[-1 if name == "signals" else 0] == 2 for name, value in other.items())
        assert [name for name in apart(other, stacked) if name not in CANCEL.get(case.name, ())] == []


def test_each_seed_learns_what_it_learns_alone(turns: Any) -> None:
    """With a worker per seed it is the same program on the same numbers: the same bits."""
    turns(True)
    together, alone = learner("seeds=[0, 5, 7]"), [learner(f"seeds=[{seed}]") for seed in (0, 5, 7)]
    batch = transitions(together)
    for _ in range(3):
        together.update(batch)
        for seed, one in enumerate(alone):
            one.update(type(batch)(*(value[seed : seed + 1] for value in batch)))
    for seed, one in enumerate(alone):
        for name, value in one.tensors().items():
            axis = 1 if name == "signals" else 0
            assert torch.equal(together.tensors()[name].narrow(axis, seed, 1), value), name


def test_a_run_whose_seeds_take_turns_resumes_exactly(turns: Any, tmp_path: Path) -> None:
    turns(True)
    overrides = (*EVENTFUL, "tracking.kind=none")
    whole, _ = finished(tmp_path / "whole", *overrides)
    path = stopped(*begin(tmp_path / "cut", *overrides), at=90)
    assert result(resumed(path)) == result(whole)


def test_runs_in_one_program_take_turns_too(turns: Any, tmp_path: Path) -> None:
    """Each with its own numbers and interventions: to the bit what it is alone, where its seeds take turns as well."""
    turns(True)
    numbers = ("optimizers.critic.beta1=0.5", "averages.target_critic.momentum=0.5", "algorithm.discount=0.5")
    shared = (*EVENTFUL, "tracking.kind='none'", RESET)
    found = [
        NewRun("base", tiny(*shared)),
        NewRun("other", tiny(*shared, *numbers, "seeds=[3, 0]", "interventions.again.when.interval=15"), "other"),
    ]
    together = assemble.start_together(found, tmp_path / "together")
    together.train(quiet())
    for beside, member in zip(together.runs, found, strict=True):
        run, session = assemble.start(member.blueprint, tmp_path / "alone", member.variant)
        train(session, quiet())
        assert apart(beside.session.learner.tensors(), session.learner.tensors()) == []
        for each in (beside.session, session):
            each.close()
        for each_run in (beside.run, run):
            each_run.close()


def test_wide_agents_take_turns_by_their_declaration_alone() -> None:
    def takes(name: str, *overrides: str, device: str = "cpu") -> bool:
        return in_turn.takes_turns(load(shipped()[name], overrides, is_to_run=False).blueprint.agent, device)

    several = "seeds=[0, 1]"
    assert takes("dmc/sac_simba", several) and takes("dmc/sac_simba", "seeds=[0, 1, 2, 3, 4, 5, 6, 7]")
    assert not takes("dmc/sac_simba", "seeds=[0]") and not takes("dmc/sac_simba", several, device="cuda:0")
    assert not takes("dmc/sac_mlp", several) and not takes("dmc/sac_simba", several, "algorithm.batch_size=32")
    when = '{ kind = "at", steps = [1_000], clock = "update" }'
    grows = f'interventions.it={{ use = "injection", when = {when}, where = ["critic.head.*"] }}'
    assert not takes("dmc/sac_simba", several, grows)


def test_one_compiled_program_serves_any_number_of_seeds(turns: Any) -> None:
    keys = {}
    for wanted in (False, True):
        turns(wanted)
        keys[wanted] = [program_key(tiny(f"seeds={seeds}"), "cpu") for seeds in ([0], [0, 1], [3, 4, 5])]
    assert len({*keys[False]}) == 3 and {*keys[True]} == {keys[False][0]}


@pytest.mark.slow
def test_one_compilation_for_all_seeds(turns: Any) -> None:
    """Alone compiles seeds in turn: dynamo traces one function once, and the numbers are those of eager updates."""
    from torch._dynamo.utils import counters

    turns(True)
    compiled, eager = (learner("seeds=[0, 5, 7]", choice=choice) for choice in (Choice(True, "a test"), EAGER))
    batch, before = transitions(eager), counters["stats"]["unique_graphs"]
    for one in (compiled, eager):
        for _ in range(3):
            one.update(batch)
    assert counters["stats"]["unique_graphs"] - before == 1
    assert apart(compiled.tensors(), eager.tensors()) == []
