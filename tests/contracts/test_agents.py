"""Every operation, penalty and measure on every network of the newer agents, in a run of a few interactions.

An operation changes what it chooses and what follows from that, and nothing else; growth keeps outputs, and averages
and optimizers grow with the network; learning goes on. What cannot be done is refused before anything is allocated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import torch
from tiny_agents import AGENTS, blueprint_of
from tiny_runs import interactions
from torch import Tensor

from composer.blueprint import BlueprintError
from composer.diagnostics import Diagnostic
from composer.interventions.base import Operation
from composer.optim.penalties import Penalty
from composer.training import assemble
from composer.training.assemble.kept_programs import read_by_updates
from composer.training.compile import kept
from composer.training.compile.capture import Choice
from composer.training.session import Session

FIRST = 1_000
"""The update at which the first intervention is due, which no run here reaches: it is fired by hand."""
BATCH = "batch = 8"
KEYS = {
    "clip": "factor = 0.1",
    "deepen": "block = { kind = 'residual', block = { kind = 'layer_norm' } }",
    "lerp": "toward = { kind = 'fresh' }",
    "prune": "firings = 2",
    "recycle": f"tau = 0.9, {BATCH}",
    "replace_units": f"rate = 1.0, maturity = 0, {BATCH}",
    "reset_silent_units": f"most = 1, {BATCH}",
    "shrink_by_direction": BATCH,
    "shrink_by_dormancy": BATCH,
    "widen": "factor = 2",
}
MOMENTS = {"lerp": "zero", "nothing": "zero", "recycle": "chosen"}
OF_UNITS = ("recycle", "replace_units", "reset_silent_units", "shrink_by_dormancy", "widen")
STRUCTURAL = ("deepen", "inject", "widen")
IN_PLACE = sorted(Operation.kinds().keys() - {*STRUCTURAL, "alternate"})
WITHOUT_UNITS = {"dreamer": {"dynamics", "encoder"}, "mr_q": {"model"}, "brc": {"task_embedding"}}
"""Networks of which no layer is read by weights alone."""
ONE_BLOCK = {"dreamer": {"dynamics"}, "mr_q": {"model"}, "multi_skip": {"actor", "critic"}}
"""Networks whose trunk is no list of blocks."""
KEPT_AT_A_NORM = ("flash_sac", "xqc", "crossq_wn", "simba_v2")
"""Agents whose layers cannot be widened: more units would change the norms."""


def refused(name: str, operation: str) -> set[str]:
    """The networks of an agent on which an operation is refused."""
    networks, units = set(blueprint_of(name).outlines), WITHOUT_UNITS.get(name, set())
    if operation == "widen" and name in KEPT_AT_A_NORM:
        return networks
    acting: set[str] = set() if name == "mr_q" else {"actor"}  # Its policy's outputs are sums, squashed later.
    of_shape = {"inject": acting, "deepen": ONE_BLOCK.get(name, set())}
    return units if operation in OF_UNITS else of_shape.get(operation, set())


def intervention(name: str, operation: str, roles: list[str], at: int) -> str:
    averaged = set(roles) & set(blueprint_of(name).averaged_networks.values())
    inside = "trunk.*" if operation in ("widen", "deepen") else "*"
    where = ", ".join(f"'{role}.{inside}'" for role in roles)
    keys = [f"when = {{ kind = 'at', steps = [{at}] }}", f"where = [{where}]"]
    keys += [f"do = {{ kind = '{operation}', {KEYS.get(operation, '')} }}"]
    keys += [f"moments = '{MOMENTS.get(operation, 'keep')}'", f"target = '{'follow' if averaged else 'keep'}'"]
    return f"interventions.{operation}_{roles[0]}={{ {', '.join(keys)} }}"


@contextmanager
def learning(tmp_path: Path, name: str, *overrides: str) -> Iterator[Session]:
    """A run that has made its first updates."""
    blueprint = blueprint_of(name, "training.env_steps=1_000_000", *overrides)
    run, session = assemble.start(blueprint, tmp_path, None)
    more(session, 2)
    yield session
    session.close()
    run.close()


def more(session: Session, updates: int) -> None:
    wanted = session.clock.updates + updates
    for _ in interactions(session):
        if session.clock.updates >= wanted:
            return


def state(session: Session) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in session.learner.tensors().items()}


def changed(before: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> set[str]:
    """``kind/NAME`` of everything that differs: ``networks/critic``, ``averages/target_critic``."""
    return {"/".join(name.split("/")[:2]) for name, value in now.items() if not torch.equal(value, before[name])}


def assert_learning_goes_on(session: Session) -> None:
    before, trained = state(session), {f"networks/{role}" for role in session.learner.networks}
    more(session, 6)
    now = state(session)
    assert trained <= changed(before, now)
    assert all(bool(torch.isfinite(value).all()) for value in now.values() if value.is_floating_point())


@pytest.mark.parametrize("name", [*WITHOUT_UNITS, "xqc", "multi_skip"])
def test_what_cannot_be_done_is_refused_with_its_reason(name: str) -> None:
    reason = "no hidden units? |no layer here|kept at a norm|only outputs that are sums|must choose all parameters"
    for operation in (*OF_UNITS, "deepen", "inject"):
        for role in sorted(refused(name, operation)):
            with pytest.raises(BlueprintError, match=reason):
                blueprint_of(name, "training.env_steps=2_000", intervention(name, operation, [role], FIRST))


@pytest.mark.parametrize("name", AGENTS)
def test_operations_change_what_they_choose_and_nothing_else(name: str, tmp_path: Path) -> None:
    roles = {each: [r for r in blueprint_of(name).outlines if r not in refused(name, each)] for each in IN_PLACE}
    declared = [intervention(name, each, roles[each], FIRST + at) for at, each in enumerate(IN_PLACE)]
    with learning(tmp_path, name, *declared) as session:
        learner = session.learner
        for at, each in enumerate(IN_PLACE):
            before = state(session)
            session.surgery.fire_planned("update", FIRST + at - 1, FIRST + at)
            found, weights = changed(before, state(session)), {f"networks/{role}" for role in roles[each]}
            averages = {key for key, (of, _) in learner.averaged_roles().items() if of in roles[each]}
            optimizers = {f"optimizers/{role}" for role in roles[each]} if each in MOMENTS else set()
            assert found <= weights | {f"averages/{key}" for key in averages} | optimizers, each
            assert {"lerp": weights | optimizers, "perturb": weights}.get(each, set()) <= found, each
            if each == "lerp":  # A reset: averages are copies, and optimizers as new.
                for key in averages:
                    average, role = learner.averages[key].parameters, learner.averaged_roles()[key][0]
                    assert all(torch.equal(average[p], v) for p, v in learner.networks[role].parameters.items())
                for role in roles[each]:
                    held, paths = learner.optimizers[role], learner.networks[role].parameters
                    assert not any(bool(moment.any()) for path in paths for moment in held.moments(path)), role
        assert_learning_goes_on(session)


@pytest.mark.parametrize("operations", [("widen", "deepen"), ("inject",)], ids=["growth", "injection"])
@pytest.mark.parametrize("name", AGENTS)
def test_networks_that_grow_answer_as_before_and_take_averages_and_optimizers_along(
    name: str, operations: tuple[str, ...], tmp_path: Path
) -> None:
    pairs = [(o, r) for o in operations for r in blueprint_of(name).outlines if r not in refused(name, o)]
    declared = [intervention(name, operation, [role], FIRST + at) for at, (operation, role) in enumerate(pairs)]
    with learning(tmp_path, name, *declared) as session:
        learner, events = session.learner, list[Mapping[str, object]]()
        session.surgery._record_event = lambda seed, event: events.append(event)
        session.surgery.fire_planned("update", FIRST - 1, FIRST + len(pairs))
        assert len(events) == len(pairs) * len(session.seeds)
        for event in events:
            assert float(str(event["output_change"])) < 1e-5, event["name"]
        for _, (role, average) in learner.averaged_roles().items():
            shapes = {path: value.shape for path, value in learner.networks[role].parameters.items()}
            assert {path: value.shape for path, value in average.parameters.items()} == shapes
        assert_learning_goes_on(session)


@pytest.mark.parametrize("name", ["tdmpc2", "dreamer", "metra", "mr_q", "flash_sac", "brc"])
def test_penalties_and_measures_reach_every_network_and_measuring_changes_nothing(name: str, tmp_path: Path) -> None:
    """The critics with other trunks have the losses of ``flash_sac``."""
    roles = list(blueprint_of(name).outlines)
    where = ", ".join(f"'{role}.*'" for role in roles)
    terms = [f"penalties.{k}={{ kind = '{k}', where = [{where}], coefficient = 1e-4 }}" for k in Penalty.kinds()]
    kinds = ", ".join(f"{{ kind = '{kind}' }}" for kind in Diagnostic.kinds())
    measures = f"diagnostics={{ every = 1_000_000, {BATCH}, measures = [{kinds}] }}"
    with learning(tmp_path, name, *terms, measures) as session:
        before, random = state(session), torch.get_rng_state()
        (row, *_) = session.diagnostics.read(session.learner, session.collector.replay, session.clock, last=True)
        assert not changed(before, state(session)) and torch.equal(random, torch.get_rng_state())
        assert {metric.split("/")[1] for metric in row} == set(roles)
        assert_learning_goes_on(session)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mr_q", "xqc"])
def test_all_that_an_update_reads_has_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone traces: constants, such as the bins of a head, are found again when a kept program is loaded."""
    named: list[dict[str, object]] = []
    monkeypatch.setattr(kept, "can_keep", lambda: True)
    monkeypatch.setattr(kept, "_as_ever", lambda graph, *_: graph.forward)
    monkeypatch.setattr(torch._inductor, "standalone_compile", lambda *_, **__: 1 / 0)
    names = kept.KeptProgram._names
    monkeypatch.setattr(kept.KeptProgram, "_names", lambda *given: named.append(dict(names(*given))))
    with learning(tmp_path, name) as session:
        tensors = partial(read_by_updates, session.learner)
        session.learner.kept = kept.KeptPrograms(tmp_path, "digest", tensors)
        session.learner.recapture(Choice(True, "a test"))
        more(session, 2 if name == "xqc" else 60)
        assert len(named) == (1 if name == "xqc" else 2)
        assert any(each.startswith("constant/") for read in named for each in read)
        assert {each for read in named for each in read if not each.startswith("input/")} <= tensors().keys()
