"""Continual backprop, Dohare et al., Nature 2024: utilities, ages, who is replaced, and what becomes of outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from dispatched import captured_without_code
from pupil import Pupil
from surgeon import Patient, intervention
from tiny_runs import DRIFT, EVENTFUL, begin, finished, result, resumed, rows, stopped, tiny
from torch import Tensor
from torch.nn import functional

from composer.blueprint import BlueprintError
from composer.networks.initialize import draw_one
from composer.spec.random_streams import derive
from composer.training.compile.capture import Choice

SEEDS = "seeds=[0, 5]"
TRUNK = "[{ kind = 'linear', width = 12 }, { kind = 'relu' }, { kind = 'linear', width = 8 }, { kind = 'tanh' }]"
PLAIN = f"networks.critic.trunk={TRUNK}"
EVERY = "{ kind = 'every', interval = 1 }"
LAYERS = {"trunk.0": ("trunk.2", torch.relu), "trunk.2": ("head.linear", torch.tanh)}
RATE, MATURITY, DECAY = 0.06, 3, 0.8


def replace(rate: float = RATE, when: str = EVERY, decay: float = DECAY, **keys: str) -> str:
    do = f"{{ kind = 'replace_units', rate = {rate}, maturity = {MATURITY}, decay = {decay}, batch = 24 }}"
    return intervention(do, '["critic.*"]', when, **keys)


class Reference:
    """The algorithm for one seed and copy, a unit at a time."""

    def __init__(self, seed: int, copy: int) -> None:
        self.seed, self.copy, self.firings, self.replaced = seed, copy, 0, 0
        self.units = {
            layer: [{"utility": 0.0, "mean": 0.0, "age": 0} for _ in range(width)]
            for layer, width in (("trunk.0", 12), ("trunk.2", 8))
        }
        self.owed = dict.fromkeys(self.units, 0.0)

    def fire(self, weights: dict[str, Tensor], x: Tensor, plans: dict[str, Any]) -> dict[str, Tensor]:
        """What the weights become."""
        new = {path: value.double() for path, value in weights.items()}
        chosen: dict[str, list[int]] = {}
        for layer, (reader, activation) in LAYERS.items():
            x = activation(functional.linear(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"]))
            out = weights[f"{reader}.weight"]
            chosen[layer] = self._choose(layer, x.double(), out.double())
            for unit in chosen[layer]:
                state = self.units[layer][unit]
                mean = state["mean"] / (1 - DECAY ** state["age"])
                new[f"{reader}.bias"] = new[f"{reader}.bias"] + mean * out[:, unit].double()
                state.update(utility=0.0, mean=0.0, age=0)
        for layer, units in chosen.items():
            path = f"{layer}.weight"
            stream = ("intervention", "it", self.firings, "network", "critic", self.copy, path)
            fresh = draw_one(plans[path], derive(self.seed, *stream)).double()
            for unit in units:
                new[path][unit], new[f"{layer}.bias"][unit] = fresh[unit], 0.0
        for layer, units in chosen.items():
            for unit in units:
                new[f"{LAYERS[layer][0]}.weight"][:, unit] = 0.0
        self.firings += 1
        self.replaced += sum(map(len, chosen.values()))
        return new

    def _choose(self, layer: str, h: Tensor, out: Tensor) -> list[int]:
        worth = {}
        for unit, state in enumerate(self.units[layer]):
            contribution = float(h[:, unit].abs().mean() * out[:, unit].abs().mean())
            state["age"] += 1
            state["utility"] = DECAY * state["utility"] + (1 - DECAY) * contribution
            state["mean"] = DECAY * state["mean"] + (1 - DECAY) * float(h[:, unit].mean())
            if state["age"] > MATURITY:
                worth[unit] = state["utility"] / (1 - DECAY ** state["age"])
        self.owed[layer] += RATE * len(worth)
        count = int(self.owed[layer])
        self.owed[layer] -= count
        return sorted(worth, key=lambda unit: worth[unit])[:count]


def inputs(patient: Patient, firing: int) -> Tensor:
    """What the critic reads of the batch of a firing, ``[S, 24, 5]``."""
    learner = patient.learner
    generators = [
        torch.Generator().manual_seed(derive(s, "intervention", "it", firing, "network", "batch"))
        for s in learner.seeds
    ]
    drawn = patient.replay.sample(24, learner.n_step, learner.discount, generators)
    return torch.cat([learner.normalised(drawn.observation), drawn.action], -1)


def critic(patient: Patient, seed: int, copy: int) -> dict[str, Tensor]:
    parameters = patient.learner.networks["critic"].parameters
    return {path: value[seed, copy].detach().clone() for path, value in parameters.items()}


def test_units_are_replaced_as_the_reference_replaces_them() -> None:
    patient = Patient(SEEDS, PLAIN, replace())
    plans = dict(patient.learner.outlines["critic"].named_parameters())
    references = {(i, copy): Reference(seed, copy) for i, seed in enumerate((0, 5)) for copy in range(2)}
    for firing in range(20):
        patient.learner.update(patient.transitions(firing + 1))
        x = inputs(patient, firing)
        before = {member: critic(patient, *member) for member in references}
        patient.surgery.fire_planned("update", firing, firing + 1)
        for (seed, copy), reference in references.items():
            expected = reference.fire(before[seed, copy], x[seed], plans)
            for path, value in critic(patient, seed, copy).items():
                torch.testing.assert_close(value.double(), expected[path], rtol=1e-5, atol=1e-6, msg=path)
        for layer in LAYERS:
            for name in ("utility", "mean", "age"):
                remembered = patient.surgery.tensors()[f"interventions/it/memory/critic/{layer}.{name}"]
                for (seed, copy), reference in references.items():
                    told = torch.tensor([unit[name] for unit in reference.units[layer]], dtype=torch.float64)
                    torch.testing.assert_close(remembered[seed, copy], told, rtol=1e-5, atol=1e-7)
    for seed in range(2):
        counts = [references[seed, copy].replaced for copy in range(2)]
        assert min(counts) >= 10, "a test of something"
        assert sum(e["units_replaced"] for e in patient.events if e["seed"] == seed) == sum(counts)
    assert len({e["firing"] for e in patient.events}) < 20, "where nobody was replaced there is nothing to tell"


def test_outputs_stay_on_average_over_what_was_seen() -> None:
    """With ``decay = 0`` the mean is that of the firing's own batch; a unit of the last layer goes unnoticed there."""
    trunk = "networks.critic.trunk=[{ kind = 'linear', width = 12 }, { kind = 'tanh' }]"
    patient = Patient(trunk, replace(rate=0.5, decay=0.0, when="{ kind = 'every', interval = 1, maximum = 4 }"))
    patient.update(3)
    network, x = patient.learner.networks["critic"], inputs(patient, 3)
    before = network(x).detach().clone()
    patient.surgery.fire_planned("update", 3, 4)
    assert [event["units_replaced"] for event in patient.events] == [12], "six of each copy"
    after = network(x).detach()
    assert (after - before).abs().max() > 0.05
    torch.testing.assert_close(after.mean(2), before.mean(2), rtol=1e-5, atol=1e-6)


def test_a_channel_goes_with_all_its_neighbours() -> None:
    do = "{ kind = 'replace_units', rate = 0.3, maturity = 0, decay = 0.0, batch = 20 }"
    pupil = Pupil(intervention(do, '["model.*"]', EVERY))
    model = pupil.learner.networks["model"]
    old = {path: value.detach().clone() for path, value in model.parameters.items()}
    pupil.surgery.fire_planned("update", 0, 1)
    assert [event["units_replaced"] for event in pupil.events] == [1 + 1 + 1, 1 + 1 + 1], "int(0.3 of 4, 5 and 6)"
    age = pupil.surgery.tensors()["interventions/it/memory/model/trunk.2.age"]
    dense, first = model.parameters["trunk.5.weight"], old["trunk.5.weight"]
    for seed in range(2):
        (unit,) = torch.nonzero(age[seed, 0] == 0).flatten().tolist()
        silent = torch.nonzero((dense[seed, 0] == 0).all(0)).flatten().tolist()
        assert silent == list(range(9 * unit, 9 * unit + 9))
        bias = (model.parameters["trunk.5.bias"] - old["trunk.5.bias"])[seed, 0]
        alive = bias != 0
        assert alive.sum() >= 5, "biases behind take over, but for the unit that is new itself"
        kept = [place for place in range(45) if place not in silent]
        renewed = (dense[seed, 0] != first[seed, 0])[:, kept].any(1)
        assert renewed.sum() == 1 and not (renewed & alive).any()


def test_moments_of_new_weights_and_biases_are_zeroed() -> None:
    patient = Patient(PLAIN, replace(rate=0.1, when="{ kind = 'at', steps = [1, 2, 3, 4] }", moments="chosen"))
    patient.update(4)
    (event,) = patient.events
    assert event["at"] == {"update": 4} and event["units_replaced"] == 2, "one of the twelve, of each copy"
    optimizer, age = patient.learner.optimizers["critic"], patient.surgery.tensors()
    for copy in range(2):
        new = age["interventions/it/memory/critic/trunk.0.age"][0, copy] == 0
        for moment in (0, 1):
            weight, bias, out, behind = (
                optimizer.moments(path)[moment][0, copy]
                for path in ("trunk.0.weight", "trunk.0.bias", "trunk.2.weight", "trunk.2.bias")
            )
            assert torch.equal((weight == 0).all(1), new) and torch.equal((out == 0).all(0), new)
            assert bias[new].tolist() == [0.0]
            assert (behind != 0).all(), "a bias that only takes over keeps its moments"
    assert optimizer.count("trunk.0.weight").tolist() == [4]


def test_what_is_remembered_of_seeds_that_do_not_fire_stays() -> None:
    when = "{ kind = 'crossing', metric = 'critic/loss', above = 0.0, maximum = 0, clock = 'env' }"
    patient = Patient(SEEDS, PLAIN, replace(rate=0.5, when=when))
    for env in range(1, 6):
        patient.surgery.fire_on_metrics(1, {"critic/loss": 1.0}, {"env": env, "update": 0, "interaction": 0})
    memory = {name: value for name, value in patient.surgery.tensors().items() if "/memory/" in name}
    assert len(memory) == 8 and not any(value[0].any() for value in memory.values())
    assert memory["interventions/it/memory/critic/trunk.0.age"][1].max() == 5
    assert {event["seed"] for event in patient.events} == {1}


def test_seeds_together_are_treated_as_alone() -> None:
    def run(seeds: str) -> Patient:
        patient = Patient(seeds, PLAIN, replace(moments="chosen", target="follow"))
        patient.update(12)
        return patient

    together = run(SEEDS)
    for index, seed in enumerate((0, 5)):
        alone = run(f"seeds=[{seed}]")
        for name, value in (alone.state() | alone.surgery.tensors()).items():
            got = (together.state() | together.surgery.tensors())[name]
            got, expected = (got[:, index], value[:, 0]) if name == "signals" else (got[index], value[0])
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
def test_resume_is_exact(tmp_path: Path) -> None:
    """Alone proves exact resume of the utilities and ages that continual backprop keeps."""
    declared = (*EVENTFUL, PLAIN, replace(moments="chosen"))
    run, _ = finished(tmp_path / "whole", *declared)
    events = [row for row in rows(run) if row["type"] == "event"]
    assert sum(event["units_replaced"] for event in events) > 50
    for at in (55, 90):
        assert result(resumed(stopped(*begin(tmp_path / str(at), *declared), at=at))) == result(run)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([replace()], "no hidden units here can be replaced: in 'critic'"),
        ([PLAIN, replace(target="own")], "what 'replace_units' remembers is about the network itself"),
    ],
)
def test_what_cannot_be_done_is_told_before_the_run(overrides: list[str], message: str) -> None:
    trunk = "networks.critic.trunk=[{ kind = 'linear', width = 8 }, { kind = 'layer_norm' }]"
    with pytest.raises(BlueprintError) as caught:
        tiny(DRIFT, trunk, *overrides)
    assert message in str(caught.value)


@pytest.mark.slow
def test_with_the_optimizers_of_perturbed_and_sharpest_gradients_compiled_equals_eager(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """UPGD, SAM with buffers that it must not move twice, recycling and replacing, in one program that stays."""
    captured_without_code(monkeypatch)
    from torch._dynamo.utils import counters

    trunk = (
        "[{ kind = 'linear', width = 12, bias = false }, { kind = 'batch_norm' }, { kind = 'dropout', rate = 0.2 }, "
        "{ kind = 'relu' }, { kind = 'linear', width = 8 }, { kind = 'tanh' }]"
    )
    sam = "{ kind = 'sam', rho = 0.05, base = { kind = 'adamw', learning_rate = 1e-3 } }"
    recycle = "do = { kind = 'recycle', tau = 0.8, batch = 16 }, moments = 'chosen'"
    declared = [
        SEEDS,
        f"networks.critic.trunk={trunk}",
        "networks.actor.trunk=[{ kind = 'linear', width = 12 }, { kind = 'relu' }]",
        f"optimizers.critic={sam}",
        "optimizers.actor={ kind = 'upgd', learning_rate = 1e-2 }",
        replace(moments="chosen"),
        f"interventions.other={{ when = {{ kind = 'at', steps = [2] }}, where = ['actor.*'], {recycle} }}",
    ]
    eager = Patient(*declared)
    eager.update(6)
    counters.clear()
    compiled = Patient(*declared, choice=Choice(True, "a test"))
    compiled.update(6)
    assert counters["stats"]["unique_graphs"] == 1
    assert [event["name"] for event in compiled.events] == [event["name"] for event in eager.events] != []
    theirs = eager.state()
    assert theirs["networks/critic/trunk.2.draws"].tolist() == [[6, 6], [6, 6]]
    for name, value in compiled.state().items():
        torch.testing.assert_close(value, theirs[name], rtol=5e-4, atol=5e-5, msg=lambda m, n=name: f"{n}: {m}")
