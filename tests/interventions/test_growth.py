"""Growth of networks: outputs that stay, gradients that flow, exact resume, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dispatched import captured_without_code
from surgeon import Patient, intervention
from tiny_runs import DRIFT, EVENTFUL, begin, finished, result, resumed, rows, stopped, tiny
from torch import Tensor

from composer.blueprint import BlueprintError
from composer.blueprint.forecast.growth import grown_outlines
from composer.interventions import Deepen, Widen
from composer.interventions.base import Operation
from composer.networks.network import Network
from composer.networks.outline import BufferPlan, ParameterPlan
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.studies import Refused
from composer.studies.doctor.site import site
from composer.training.compile.capture import Choice

SEEDS = "seeds=[0, 5]"
WIDEN, DEEPEN = "{ kind = 'widen' }", "{ kind = 'deepen' }"


class Draws:
    """Random numbers of 2 seeds and 2 copies."""

    def fresh(self, path: str, plan: ParameterPlan | BufferPlan) -> Tensor:
        return self.noise(path, plan.shape).abs()

    def order(self, path: str, count: int) -> Tensor:
        ranks = torch.rand(2, 2, count, generator=torch.Generator().manual_seed(len(path)))
        return ranks.argsort(-1)

    def noise(self, path: str, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(2, 2, *shape, generator=torch.Generator().manual_seed(len(path)), dtype=torch.float64)


def network(*layers: object, head: object = "scalar") -> Network:
    return Network.model_validate({"trunk": list(layers), "head": {"kind": head}})


def grown(spec: Network, operation: Operation, chosen: str, shape: tuple[int, ...]) -> tuple[Stacked, Stacked, Tensor]:
    """Float64 networks before and after, with random tensors, and inputs."""
    outline = spec.outline(shape, 2)
    paths = [path for path, _ in outline.named_parameters() if path.startswith(chosen)]
    steps = list(operation.steps(spec, shape, 2, paths))
    parameters = {path: value.detach().double() for path, value in fresh_stack(outline, (0, 1), 2, "a").items()}
    parameters = {path: value + 0.1 * torch.randn_like(value) for path, value in parameters.items()}
    buffers = {path: value for path, value in fresh_buffers(outline, (0, 1), 2, "a").items()}
    buffers = {
        path: v.double() + torch.rand_like(v).double() if v.is_floating_point() else v for path, v in buffers.items()
    }
    before = Stacked(Template(lambda: spec.build(shape, 2)), parameters, buffers)
    tensors = before.tensors()
    for step in steps:
        tensors = {path: step.tensor(path, plan, tensors.get(path), Draws()) for path, plan in step.plans().items()}
    last = steps[-1]
    split = [dict(last.after.named_parameters()), dict(last.after.named_buffers())]
    held = [{path: tensors[path] for path in names} for names in split]
    after = Stacked(Template(lambda: last.network.build(shape, 2)), *held)
    assert {path: tuple(v.shape[2:]) for path, v in tensors.items()} == {
        p: plan.shape for p, plan in last.plans().items()
    }
    return before, after, torch.randn(2, 9, *shape, dtype=torch.float64)


LINEAR, RELU = {"kind": "linear", "width": 6}, {"kind": "relu"}
CONV = [{"kind": "conv", "width": 4, "kernel": 3}, {"kind": "batch_norm"}, {"kind": "relu"}, {"kind": "flatten"}]
RESIDUAL = {
    "kind": "residual",
    "block": [{"kind": "layer_norm"}, {"kind": "linear", "expansion": 2}, RELU, {"kind": "linear", "width": 6}],
}
NORMED = [{"kind": "layer_norm"}, {"kind": "rms_norm"}, {"kind": "group_norm", "groups": 2}]


@pytest.mark.parametrize(
    ("spec", "operation", "chosen", "shape"),
    [
        (network(LINEAR, RELU, LINEAR, RELU), Widen(factor=1.5), "trunk", (5,)),
        (network(LINEAR, RELU, LINEAR, RELU), Widen(factor=2.6), "trunk", (5,)),
        (network(LINEAR, RELU, LINEAR, RELU), Widen(factor=3, new="fresh"), "trunk.0", (5,)),
        (network(LINEAR, *NORMED, RELU, LINEAR, RELU), Widen(factor=3), "trunk", (5,)),
        (network(*CONV, LINEAR, RELU), Widen(factor=1.5), "trunk", (3, 6, 6)),
        (network(*CONV, LINEAR, RELU), Widen(factor=2, new="fresh"), "trunk.0", (3, 6, 6)),
        (network({"kind": "noisy_linear", "width": 6}, RELU, {"kind": "noisy_linear", "width": 5}, RELU),
         Widen(), "trunk", (5,)),
        (network(LINEAR, {"kind": "repeat", "times": 2, "block": RESIDUAL}), Widen(), "trunk", (5,)),
        (network(LINEAR, RELU, LINEAR, RELU), Deepen(), "trunk", (5,)),
        (network(LINEAR), Deepen(block=LINEAR), "trunk", (5,)),  # type: ignore[arg-type]
        (network(LINEAR, {"kind": "repeat", "times": 2, "block": RESIDUAL}), Deepen(), "trunk.1", (5,)),
        (network(LINEAR, RELU), Deepen(block={**RESIDUAL, "block": [LINEAR, {"kind": "layer_norm"}]}), "trunk", (5,)),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_outputs_stay_in_float64_and_gradients_reach_what_is_new(
    spec: Network, operation: Operation, chosen: str, shape: tuple[int, ...]
) -> None:
    before, after, x = grown(spec, operation, chosen, shape)
    assert (after(x) - before(x)).abs().max() < 1e-12 * before(x).abs().max()
    parameters = {path: value.requires_grad_() for path, value in after.parameters.items()}
    training = Stacked(after.template, parameters, after.buffers)
    gradients = torch.autograd.grad(training(x).square().sum(), list(parameters.values()), allow_unused=True)
    for (path, value), gradient in zip(parameters.items(), gradients, strict=True):
        old = before.parameters.get(path)
        if old is None:
            reached = gradient is not None and gradient.abs().max() > 0
            assert reached or path.endswith(("sigma", "0.weight", "0.bias", "1.weight", "1.bias")), path
        elif old.shape != value.shape:
            assert gradient is not None or path.endswith("sigma"), path


def test_wider_layers_are_those_of_net2net() -> None:
    before, after, _ = grown(network(LINEAR, RELU), Widen(factor=2, noise=0), "trunk", (5,))
    old, new = before.parameters, after.parameters
    assert torch.equal(new["trunk.0.weight"], old["trunk.0.weight"].repeat_interleave(2, 2))
    assert torch.equal(new["head.linear.weight"], old["head.linear.weight"].repeat_interleave(2, 3) / 2)


CRITIC, BLOCKS = '["critic.*"]', '["critic.trunk.1.*"]'


def declared(do: str = WIDEN, where: str = CRITIC, when: str = "{ kind = 'at', steps = [3] }", **keys: str) -> str:
    return intervention(do, where, when, **{"target": "follow", **keys})


@pytest.mark.parametrize(("do", "where"), [(WIDEN, CRITIC), (DEEPEN, BLOCKS)])
def test_a_learner_grows_with_its_averages_and_goes_on(do: str, where: str) -> None:
    patient = Patient(SEEDS, declared(do, where, when="{ kind = 'every', interval = 3, maximum = 2 }"))
    first = patient.learner.outlines["critic"].count()
    patient.update(2)
    optimizer, state = patient.learner.optimizers["critic"], patient.state()
    patient.update(1)
    grown_ones = [event for event in patient.events if event["name"] == "it"]
    assert len(grown_ones) == 2 and grown_ones[0]["output_change"] < 1e-6
    critic, average = patient.learner.networks["critic"], patient.learner.averages["target_critic"]
    assert grown_ones[0]["parameters_before"] == 2 * first < grown_ones[0]["parameters_after"]
    assert {path: value.shape for path, value in critic.tensors().items()} == {
        path: value.shape for path, value in average.tensors().items()
    }
    optimizer = patient.learner.optimizers["critic"]
    kept = "trunk.0.weight"
    assert optimizer.count(kept).tolist() == [3, 3] and optimizer.moments(kept)[0].abs().max() > 0
    new = [path for path in critic.parameters if f"networks/critic/{path}" not in state]
    assert bool(new) == (do == DEEPEN) and all(not optimizer.count(path).any() for path in new)
    before = patient.state()
    patient.update(4)
    now = patient.state()
    assert all(not torch.equal(before[f"networks/critic/{path}"], now[f"networks/critic/{path}"]) for path in new)
    assert len([event for event in patient.events if event["name"] == "it"]) == 4
    assert patient.learner.outlines["critic"].count() > grown_ones[0]["parameters_after"] / 2
    assert grown_outlines(patient.blueprint)["critic"] == patient.learner.outlines["critic"], "as forecast"
    with pytest.raises(Refused, match="lets 'critic' grow"):
        site(patient.blueprint, ())
    places = [value.untyped_storage().data_ptr() for value in patient.learner.tensors().values()]
    assert len(places) == len(set(places)), "no two states share storage"


def test_resume_rebuilds_a_network_that_two_growths_have_changed_in_turn(tmp_path: Path) -> None:
    wider = (
        "interventions.wider={ when = { kind = 'every', interval = 20, maximum = 2 }, where = ['critic.trunk.1.*'], "
    )
    deeper = declared(DEEPEN, BLOCKS, "{ kind = 'at', steps = [30] }")
    run_of = (*EVENTFUL, f"{wider} do = {WIDEN}, target = 'follow' }}", deeper)
    run, _ = finished(tmp_path / "whole", *run_of)
    assert result(resumed(stopped(*begin(tmp_path / "stopped", *run_of), at=110))) == result(run)
    grown_at = [row["env_step"] for row in rows(run) if row["type"] == "event" and "grown" in row and row["seed"] == 0]
    assert len(grown_at) == 3 and grown_at[1] < 110 < grown_at[2] + 30


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (declared("{ kind = 'widen', factor = 2 }", '["actor.*", "critic.*"]'), "one network grows at a time"),
        (declared(where='["critic.head.*"]'), "no layer here can be widened"),
        (intervention(WIDEN, CRITIC), "averages of 'critic' grow too; write target = 'follow'"),
        (declared(moments="zero"), "leave 'moments' out"),
        (declared(DEEPEN, '["critic.trunk.0.*"]'), "all parameters of one list of blocks of the trunk: 'trunk.*'"),
        (declared("{ kind = 'deepen', block = [{ kind = 'linear', expansion = 1 }, { kind = 'tanh' }] }", BLOCKS),
         "would not begin as the identity"),
        (declared("{ kind = 'deepen', block = { kind = 'linear', width = 3 } }", BLOCKS), "must keep the shape [16]"),
        (declared("{ kind = 'deepen', block = { kind = 'residual', block = [{ kind = 'relu' }] } }", BLOCKS),
         "'relu' has no weights or gains"),
        (declared(when="{ kind = 'every', interval = 10 }"), "limit 16: give the trigger a 'maximum'"),
    ],
)  # fmt: skip
def test_what_cannot_grow_is_told_before_the_run(override: str, message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(DRIFT, override)
    assert message in str(caught.value)


PULL = "penalties.p={ kind = 'l2_init', where = ['critic.*'], coefficient = 0.1 }"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((declared(when="{ kind = 'crossing', metric = 'critic/loss', above = 0.0 }"), SEEDS), "for each seed on"),
        ((declared(), PULL), "penalties.p keeps"),
        ((declared(), "optimizers.critic={ kind = 'trac', base = { kind = 'adam', learning_rate = 1e-3 } }"),
         "optimizers.critic keeps"),
        ((declared(), "interventions.i={ when = { kind = 'at', steps = [5] }, where = ['critic.head.*'], "
          "target = 'follow', do = { kind = 'inject' } }"), "a network is injected or grows, not both"),
        ((declared(), "interventions.p={ when = { kind = 'at', steps = [5] }, where = ['critic.*'], "
          "do = { kind = 'project' } }"), "keeps tensors that have the first shapes"),
    ],
)  # fmt: skip
def test_growth_and_what_keeps_first_shapes_exclude_each_other(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(DRIFT, *overrides)
    assert message in str(caught.value)


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm", "unit_norm"])
def test_norms_over_units_refuse_what_would_change_outputs(norm: str) -> None:
    spec = network(LINEAR, {"kind": norm}, RELU, LINEAR, RELU)
    for operation in (Widen(factor=1.5), Widen(factor=2, new="fresh")):
        with pytest.raises(ValueError, match="sphere" if norm == "unit_norm" else "takes moments over the units"):
            grown(spec, operation, "trunk.0", (5,))


@pytest.mark.slow
def test_one_recompilation_a_firing_and_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone proves that a compiled update goes on with a network of another shape as the eager one does."""
    from torch._dynamo.utils import counters

    captured_without_code(monkeypatch)
    eager = Patient(SEEDS, declared())
    eager.update(5)
    counters.clear()
    compiled = Patient(SEEDS, declared(), choice=Choice(True, "a test"))
    compiled.update(3)
    assert counters["stats"]["unique_graphs"] == 1
    compiled.update(2)
    assert counters["stats"]["unique_graphs"] == 2
    theirs = eager.state()
    for name, value in compiled.state().items():
        torch.testing.assert_close(value, theirs[name], rtol=2e-4, atol=2e-5, msg=name)
