"""Diagnostics in a run: they come when they are due, change nothing of training, and are resumed exactly."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from looking import transitions
from tiny_runs import DRIFT, begin, finished, interactions, result, resumed, rows, stopped, tiny
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from composer.blueprint.forecast.clock import Clock
from composer.diagnostics import Diagnostic
from composer.replay.vectors import VectorRing
from composer.training.collect.simulation import SimulatorCollector
from composer.training.compile.capture import Choice
from composer.training.diagnose.recorder import Recorder
from composer.training.learner import Learner
from composer.training.session import Session

SHORT = (DRIFT, "training.env_steps=150", "evaluation.every=150", "checkpoint.every=50", "training.log_every=30")
ALL = (
    '[{ kind = "dormant" }, { kind = "dead_units" }, { kind = "zero_activations" }, { kind = "rank" }, '
    '{ kind = "feature_norm" }, { kind = "feature_dot" }, { kind = "parameter_norm" }, { kind = "gradient_norm" }, '
    '{ kind = "effective_learning_rate" }, { kind = "distance_to_init" }, { kind = "policy_churn" }, '
    '{ kind = "gradient_covariance", samples = 3 }, { kind = "curvature", iterations = 3 }, '
    '{ kind = "trainability", steps = 3, every = 60 }]'
)
WATCHED = ("diagnostics.every=40", "diagnostics.batch=16", f"diagnostics.measures={ALL}")
NOISY = (
    'networks.critic.trunk=[{ kind = "linear", width = 8 }, { kind = "batch_norm" }, { kind = "relu" }, '
    '{ kind = "dropout", rate = 0.3 }]'
)
"""A critic with statistics and a random stream of its own."""


def replay_of(parts: Session) -> VectorRing:
    assert isinstance(parts.collector, SimulatorCollector)
    return parts.collector.replay


def state(parts: Session) -> dict[str, str]:
    """Every item of the state but that of the diagnostics, replay included."""
    named = {name: value for name, value in parts.snapshot().tensors.items() if not name.startswith("diagnostics/")}
    replay = replay_of(parts)
    named["replay"] = replay.rows(replay.added - replay.size, replay.added)
    named["global"] = torch.get_rng_state()
    return {name: hashlib.sha256(t.detach().numpy().tobytes()).hexdigest() for name, t in named.items()}


def metrics(run: Path, measured: bool) -> list[tuple[int, int, dict[str, float]]]:
    found = [(row["env_step"], row["seed"], row["metrics"]) for row in rows(run)]
    return [row for row in found if any(name.startswith("diagnostics/") for name in row[2]) == measured]


def test_all_kinds_are_tried_here() -> None:
    assert all(f'kind = "{kind}"' in ALL for kind in Diagnostic.kinds() if "/" not in kind)


@pytest.mark.parametrize(
    "critic", [pytest.param((), id="simba"), pytest.param((NOISY,), id="noisy", marks=pytest.mark.slow)]
)
def test_a_run_that_is_watched_is_the_run_that_is_not(critic: tuple[str, ...], tmp_path: Path) -> None:
    """Beside the quick network, one that draws noise."""
    one, bare = finished(tmp_path, *SHORT, *critic)
    before = state(bare)
    two, watched = finished(tmp_path, *SHORT, *critic, *WATCHED)
    assert state(watched) == before
    assert metrics(one, False) == metrics(two, False)
    assert metrics(two, True) and not metrics(one, True)


def test_a_reading_touches_nothing_of_the_learner(tmp_path: Path) -> None:
    _, parts = begin(tmp_path, *SHORT, NOISY, *WATCHED, "seeds=[0, 1]")
    list(islice(interactions(parts), 80))
    before, learner = state(parts), parts.learner
    versions = {name: value._version for name, value in learner.tensors().items()}
    first = parts.diagnostics.read(learner, parts.collector.replay, parts.clock, last=True)
    second = parts.diagnostics.read(learner, parts.collector.replay, parts.clock, last=True)
    assert state(parts) == before
    assert {name: value._version for name, value in learner.tensors().items()} == versions
    assert all(value.grad is None for value in learner.tensors().values())
    for row, again in zip(first, second, strict=True):
        assert {name: again[name] for name in row} == row
        assert set(again) - set(row) == {"diagnostics/policy/churn.v1", "diagnostics/policy/churn_per_update.v1"}
    parts.close()


def test_readings_come_at_their_intervals_and_after_the_last_step(tmp_path: Path) -> None:
    measures = '[{ kind = "parameter_norm" }, { kind = "feature_norm", every = 60 }, { kind = "policy_churn" }]'
    run, _ = finished(tmp_path, *SHORT, "seeds=[4, 2]", "diagnostics.every=40", f"diagnostics.measures={measures}")
    found: dict[str, list[int]] = {}
    for step, seed, row in metrics(run, True):
        for name in row:
            if seed == 4:
                found.setdefault(name.split("/")[-1], []).append(step)
    assert found["parameter_norm.v1"] == [40, 40, 80, 80, 120, 120, 150, 150]  # Two networks.
    assert found["feature_norm.v1"] == [60, 60, 120, 120, 150, 150]
    assert found["churn.v1"] == [80, 120, 150]
    last = [row for step, _, row in metrics(run, True) if step == 150]
    assert len(last) == 2 and last[0] != last[1]


def test_names_are_stable_and_tell_their_version(tmp_path: Path) -> None:
    measures = '[{ kind = "dormant", tau = 0.025, layers = true }]'
    run, _ = finished(tmp_path, *SHORT, "diagnostics.every=150", f"diagnostics.measures={measures}")
    ((step, seed, row),) = metrics(run, True)
    assert (step, seed) == (150, 0)
    assert sorted(row) == [
        "diagnostics/actor/dormant_ratio_0.025.v1",
        "diagnostics/actor/layers/trunk.1.0.block.2/dormant_ratio_0.025.v1",
        "diagnostics/critic/dormant_ratio_0.025.v1",
        "diagnostics/critic/layers/trunk.1.0.block.2/dormant_ratio_0.025.v1",
    ]


@pytest.mark.parametrize("probe", ["fixed", pytest.param("newest", marks=pytest.mark.slow)])
def test_a_run_that_was_stopped_reads_what_one_reads_that_was_not(probe: str, tmp_path: Path) -> None:
    """Beside the quick probe, the newest transitions."""
    measures = 'diagnostics.measures=[{ kind = "policy_churn" }, { kind = "gradient_norm" }]'
    watched = (*SHORT, *WATCHED, measures, f"diagnostics.probe={probe}", "replay.capacity=70", "seeds=[0, 5]")
    whole, _ = finished(tmp_path / "whole", *watched)
    halted = stopped(*begin(tmp_path / "halted", *watched), at=90)
    assert result(resumed(halted)) == result(whole)


def test_the_probe_is_drawn_once_and_kept_or_is_the_newest(tmp_path: Path) -> None:
    held = {}
    for probe in ("fixed", "newest"):
        _, parts = begin(tmp_path, *SHORT, *WATCHED, f"diagnostics.probe={probe}")
        steps = interactions(parts)
        list(islice(steps, 60))
        parts.diagnostics.read(parts.learner, parts.collector.replay, parts.clock, last=True)
        first = parts.diagnostics.tensors()
        list(islice(steps, 30))
        parts.diagnostics.read(parts.learner, parts.collector.replay, parts.clock, last=True)
        held[probe] = first, parts.diagnostics.tensors(), replay_of(parts).rows(74, 90)[:, 0, :3]
        parts.close()
    first, second, _ = held["fixed"]
    names = {name for name in first if name.startswith("probe/")}
    assert names == {f"probe/{name}" for name in transitions(1)._fields}
    assert all(torch.equal(first[name], second[name]) for name in names)
    # It is drawn with replacement from what was there, 16 of 60 transitions.
    assert first["probe/observation"].shape == (1, 16, 3)
    _, second, rows_ = held["newest"]
    assert not any(name.startswith("probe/") for name in second)
    remembered = next(value for name, value in second.items() if name.endswith("observation"))
    assert torch.equal(remembered[0], rows_.flip(0))


def test_the_newest_of_a_ring_that_has_wrapped_or_is_nearly_empty() -> None:
    ring = VectorRing(1, 2, 6, 1, 1)
    flags = torch.zeros(1, 2, dtype=torch.bool)
    discount = torch.tensor([0.5])
    for step in range(5):
        seen = torch.tensor([[[2.0 * step], [2.0 * step + 1]]])
        ring.add(seen, seen, seen[..., 0], flags, flags, seen)
        newest = ring.newest(4, 1, discount).observation.flatten().tolist()
        count = 2 * (step + 1)
        assert newest == [(count - 1 - back % count) for back in range(4)]


def test_nothing_is_allocated_or_read_where_nothing_is_measured(tmp_path: Path) -> None:
    _, parts = begin(tmp_path, *SHORT)
    list(islice(interactions(parts), 60))
    assert not any(parts.diagnostics.due(Clock(1, 0, 1.0, interactions=step)) for step in range(1, 200))
    assert parts.diagnostics.read(parts.learner, parts.collector.replay, parts.clock, last=True) == [{}]
    assert parts.diagnostics.tensors() == {}
    parts.close()


class Transfers(TorchDispatchMode):
    """Counts what makes the host wait for a number."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select", "unique"):
            self.names.append(name)
        return function(*args, **(kwargs or {}))


def test_a_reading_waits_for_the_host_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its end, where all values go over together."""
    blueprint = tiny(DRIFT, *WATCHED, "seeds=[0, 1]")
    learner = Learner(blueprint.agent, "cpu", Choice(False, "a test"))
    recorder = Recorder(blueprint.diagnostics, blueprint.agent, "cpu")
    monkeypatch.setattr(recorder._probe, "transitions", lambda *_: transitions(2, 16))
    # The step of an eager update on a CPU reads its own numbers; there is none on a GPU, for which this test stands.
    monkeypatch.setattr("composer.optim.steps.can_fuse", lambda *_: False)
    tables: list[tuple[int, ...]] = []
    monkeypatch.setattr(Tensor, "tolist", lambda self, of=Tensor.tolist: tables.append(tuple(self.shape)) or of(self))
    with Transfers() as transfers:
        (row, _) = recorder.read_all(learner, VectorRing(2, 1, 4, 3, 2))
    assert transfers.names == []
    assert tables == [(2, len(row))]


@pytest.mark.slow
def test_one_graph_serves_before_and_after_a_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled update is not compiled anew because somebody looked."""
    graphs: list[str] = []
    compile_ = torch.compile
    torch.compiler.reset()

    def keep(graph: torch.fx.GraphModule, _: list[Tensor]) -> Any:
        graphs.append(graph.code)
        return graph.forward

    monkeypatch.setattr(
        "composer.training.compile.capture.torch.compile",
        lambda f, options, **others: compile_(f, backend=keep, **others),
    )
    blueprint = tiny(DRIFT, *WATCHED)
    learner, twin = (Learner(blueprint.agent, "cpu", Choice(compiled, "a test")) for compiled in (True, False))
    recorder = Recorder(blueprint.diagnostics, blueprint.agent, "cpu")
    monkeypatch.setattr(recorder._probe, "transitions", lambda *_: transitions(1, 16))
    for step in range(4):
        for one in (learner, twin):
            one.update(transitions(1, 32, step))
        recorder.read_all(learner, VectorRing(1, 1, 4, 3, 2))
    assert len(graphs) == 1
    for name, value in learner.tensors().items():
        torch.testing.assert_close(value, twin.tensors()[name], rtol=1e-4, atol=1e-5)


def test_an_intervention_can_wait_for_a_diagnosis(tmp_path: Path) -> None:
    metric = "diagnostics/critic/parameter_norm.v1"
    when = f'{{ kind = "crossing", metric = "{metric}", above = 1.0, clock = "env" }}'
    do = '{ kind = "lerp", toward = { kind = "zeros" }, amount = 0.5 }'
    run, _ = finished(
        tmp_path,
        *SHORT,
        "diagnostics.every=40",
        'diagnostics.measures=[{ kind = "parameter_norm" }]',
        f"interventions.shrink={{ when = {when}, where = ['critic.*'], do = {do} }}",
    )
    events = [row for row in rows(run) if row["type"] == "event"]
    assert [event["env_step"] for event in events] == [40]
