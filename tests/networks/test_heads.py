"""Every kind of head keeps the contract: what it declares is what it builds, for the product that it names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from composer.algorithms.losses.returns import Returns
from composer.networks.heads import Head, TanhGaussian
from composer.networks.initialize import draw, draw_buffers
from composer.networks.network import Network
from composer.spec.random_streams import derive
from composer.spec.shape import ShapeError

HEADS: TypeAdapter[Head] = TypeAdapter(Head)
FEATURES, ACTIONS = (16,), 3
PRODUCTS = {
    "bounded_normal": "gaussian",
    "categorical_policy": "action_logits",
    "categorical_value": "value",
    "classifier": "class_logits",
    "action_shift": "action_shift",
    "deterministic_tanh": "deterministic_action",
    "discrete_value": "action_values",
    "dueling": "action_values",
    "features": "features",
    "gaussian_policy": "gaussian",
    "implicit_quantile": "value",
    "linear_action": "unsquashed_action",
    "quantile": "value",
    "scalar": "value",
    "tanh_gaussian": "tanh_gaussian",
    "two_hot_value": "value",
}
HIDDEN = [{"kind": "linear", "width": 12}, {"kind": "relu"}]
PER_ACTION: dict[str, Any] = {"values": "per_action"}
ATOMS = {"kind": "categorical_value", "atoms": 5, "low": -1.0, "high": 1.0}
TABLES: dict[str, dict[str, Any]] = {
    **{name: dict(kind.example) for name, kind in Head.kinds().items()},
    "categorical_value per action": ATOMS | PER_ACTION,
    "two_hot_value per action": {"kind": "two_hot_value", "bins": 5, "low": -1, "high": 1, "space": "raw"} | PER_ACTION,
    "two_hot": ATOMS | {"projection": "two_hot"},
    "hl_gauss": ATOMS | {"projection": "hl_gauss", "sigma_ratio": 0.75},
    "quantile per action": {"kind": "quantile", "quantiles": 4, "kappa": 0.5} | PER_ACTION,
    "implicit_quantile per action": {"kind": "implicit_quantile", "samples": 4, "hidden": HIDDEN} | PER_ACTION,
    "dueling categorical": {"kind": "dueling", "head": ATOMS | PER_ACTION},
    "huber": {"kind": "discrete_value", "huber": 1.0},
    "noisy": {"kind": "discrete_value", "sigma": 0.5},
    "dueling shared": {"kind": "dueling", "shared": HIDDEN, "hidden": HIDDEN, "head": ATOMS | PER_ACTION},
    "noisy dueling categorical": {"kind": "dueling", "head": ATOMS | PER_ACTION | {"sigma": 0.5}},
    "noisy quantile": {"kind": "quantile", "quantiles": 4, "sigma": 0.5} | PER_ACTION,
    "noisy implicit_quantile": {"kind": "implicit_quantile", "samples": 4, "sigma": 0.5} | PER_ACTION,
    "gaussian_policy, bounded": {"kind": "gaussian_policy", "mean_bound": "tanh", "log_std_min": -5.0},
    "tanh_gaussian, two layers each": {"kind": "tanh_gaussian", "hidden": HIDDEN},
}
"""Every kind's example, and the shapes that it does not show."""


@pytest.fixture(params=TABLES)
def head(request: pytest.FixtureRequest) -> Head:
    return HEADS.validate_python(TABLES[request.param])


def on_meta(head: Head) -> nn.Module:
    with torch.device("meta"):
        return head.build(FEATURES, ACTIONS)


def filled(head: Head, seed: int = 0) -> nn.Module:
    module, outline = on_meta(head), head.outline(FEATURES, ACTIONS)
    state = draw(outline, lambda path: derive(seed, path)) | draw_buffers(outline, lambda path: derive(seed, path))
    module.load_state_dict(state, assign=True)
    return module.requires_grad_(True).eval()


def features(*batch: int) -> Tensor:
    return torch.randn(*batch, *FEATURES, generator=torch.Generator().manual_seed(1))


def returned(module: nn.Module, x: Tensor) -> list[Tensor]:
    output = module(x)
    return list(output) if isinstance(output, tuple) else [output]


def test_every_kind_says_what_it_produces() -> None:
    assert {name: HEADS.validate_python(kind.example).produces for name, kind in Head.kinds().items()} == PRODUCTS
    assert HEADS.validate_python(TABLES["quantile per action"]).produces == "action_values"


def test_round_trips(head: Head) -> None:
    assert HEADS.validate_python(HEADS.dump_python(head)) == head


@pytest.mark.parametrize("batch", [(), (5,), (2, 5)], ids=str)
def test_what_is_outlined_is_built(head: Head, batch: tuple[int, ...]) -> None:
    outline, module = head.outline(FEATURES, ACTIONS), on_meta(head)
    planned = [(path, plan.shape) for path, plan in outline.named_parameters()]
    assert planned == [(path, tuple(parameter.shape)) for path, parameter in module.named_parameters()]
    planned_buffers = [(path, plan.shape) for path, plan in outline.named_buffers()]
    assert planned_buffers == [(path, tuple(value.shape)) for path, value in module.named_buffers()]
    for mode in (module.train(), module.eval()):
        outputs = returned(mode, torch.empty(*batch, *FEATURES, device="meta"))
        assert {tuple(output.shape) for output in outputs} == {(*batch, *outline.output)}
    assert outline.total_flops() > 2 * outline.count() - 200, "at least a multiply-add a weight"


def test_starts_orthogonal_without_bias_and_gradients_reach(head: Head) -> None:
    module = filled(head).train()  # In training mode, for noise has scales of its own.
    if not list(module.parameters()):
        return
    outputs = [output for output in returned(module, features(7)) if output.requires_grad]
    total = sum((output * torch.linspace(-1, 2, output.numel()).view_as(output)).sum() for output in outputs)
    assert isinstance(total, Tensor)
    total.backward()
    for path, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), path
        if path.endswith("_sigma"):
            torch.testing.assert_close(parameter, torch.full_like(parameter, 0.5 / 4))
        elif path.endswith("weight"):
            wide = parameter if parameter.shape[0] <= parameter.shape[1] else parameter.mT
            torch.testing.assert_close(wide @ wide.mT, torch.eye(len(wide)))
        else:
            assert not parameter.any()


def test_samples_do_not_mix(head: Head) -> None:
    module, x = filled(head), features(5)
    for together, alone in zip(returned(module, x), returned(module, x[2]), strict=True):
        torch.testing.assert_close(together[2], alone)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_stacked_copies_equal_each_alone(head: Head, training: bool) -> None:
    copies = [filled(head, seed).train(training) for seed in (0, 1)]
    parameters, buffers = stack_module_state(copies)
    if not parameters:
        return  # Nothing to stack.
    x, one = features(5), on_meta(head).train(training)

    def called(values: dict[str, Tensor], states: dict[str, Tensor]) -> Any:
        return functional_call(one, values | states, (x,))

    stacked = vmap(called, randomness="error")(parameters, buffers)
    for index, copy in enumerate(copies):
        for together, alone in zip(
            stacked if isinstance(stacked, tuple) else [stacked], returned(copy, x), strict=True
        ):
            torch.testing.assert_close(together[index], alone)
        for path, state in copy.named_buffers():
            assert torch.equal(buffers[path][index], state), path


def test_only_vectors_are_taken(head: Head) -> None:
    for method in (head.outline, head.build):
        with pytest.raises(ShapeError, match=rf"the head '{head.kind}' takes a vector; .* shape \[2, 16\]"):
            method((2, 16), ACTIONS)


def test_value_heads_say_how_their_output_stands_for_a_return(head: Head) -> None:
    call = head.returns()
    assert (call is None) == (head.produces not in ("value", "action_values"))
    if call is None:
        return
    returns: Returns[Any] = call.make()
    raw = filled(head).train()(features(2, 5))
    batch = (2, 5) if head.produces == "value" else (2, 5, ACTIONS)
    value = returns.value(raw)
    assert value.shape == batch
    shift, scale = torch.linspace(-0.3, 0.3, value.numel()).view(batch), torch.full(batch, 0.5)
    target = returns.transform(raw, shift, scale, bonus=0.1).detach()
    loss = returns.loss(raw, target)
    assert loss.shape == batch and torch.isfinite(loss).all() and (loss >= 0).all()
    loss.sum().backward()
    # One of copies along a batch axis, or their average, is again an output of this head.
    assert returns.value(returns.average(raw, 0)).shape == batch[1:]
    torch.testing.assert_close(returns.value(returns.average(raw, 0)), value.mean(0))


@pytest.mark.parametrize("kind", sorted(set(Head.kinds()) - {"dueling", "features"}))
def test_the_last_layer_can_be_kept_at_unit_norm(kind: str) -> None:
    head = HEADS.validate_python({**Head.kinds()[kind].example, "unit_norm": True, "weight": {"kind": "he_normal"}})
    outline = head.outline(FEATURES, ACTIONS)
    drawn = draw(outline, lambda path: derive(0, path))
    kept = [path for path, plan in outline.named_parameters() if plan.unit_axis == -1]
    assert kept == [path for path in drawn if path.endswith("weight") and not path.startswith("embedding")]
    for path in kept:
        torch.testing.assert_close(drawn[path].norm(dim=1), torch.ones(len(drawn[path])))


def network(trunk: object, head: object) -> Network:
    return Network.model_validate({"trunk": trunk, "head": head})


FLAT = {"kind": "residual", "block": {"kind": "linear", "width": 4}}
DISCRETE = {"kind": "discrete_value"}
FLATTENING = {"kind": "implicit_quantile", "samples": 2, "hidden": {"kind": "linear", "width": 8}}


@pytest.mark.parametrize(
    ("head", "steps"),
    [
        ({"kind": "scalar", "bias_init": {"kind": "orthogonal"}}, ("bias_init",)),
        ({"kind": "dueling", "head": DISCRETE, "hidden": [{"kind": "relu"}, FLAT]}, ("hidden", "layers", 1, "block")),
        ({"kind": "dueling", "head": DISCRETE | {"bias_init": {"kind": "orthogonal"}}}, ("head", "bias_init")),
        ({"kind": "tanh_gaussian", "hidden": FLAT}, ("hidden", "block")),
        ({"kind": "implicit_quantile", "hidden": FLAT}, ("hidden", "block")),
        ({"kind": "implicit_quantile", "bias_init": {"kind": "orthogonal"}}, ("bias_init",)),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_errors_lead_through_the_head_to_the_key(head: dict[str, Any], steps: tuple[str | int, ...]) -> None:
    for method in (network([{"kind": "relu"}], head).outline, network([{"kind": "relu"}], head).build):
        with pytest.raises(ShapeError) as caught:
            method((5,), 1)
        assert caught.value.steps == ("head", *steps)


def test_errors_lead_through_the_trunk() -> None:
    with pytest.raises(ShapeError) as caught:
        network([{"kind": "tanh"}, {"kind": "rms_norm"}], {"kind": "scalar"}).build((), 1)
    assert caught.value.steps == ("trunk", "layers", 1)


@pytest.mark.parametrize(
    ("table", "where", "message"),
    [
        ({"kind": "tanh_gaussian", "log_std_min": 2.0}, (), "'log_std_min' (2.0) must be below 'log_std_max' (2.0)"),
        (ATOMS | {"low": 1.0}, (), "'low' (1.0) must be below 'high' (1.0)"),
        (ATOMS | {"atoms": 1}, ("atoms",), "greater than or equal to 2"),
        (ATOMS | {"projection": "hl_gauss"}, (), "the projection 'hl_gauss' needs 'sigma_ratio', such as 0.75"),
        (ATOMS | {"sigma_ratio": 0.75}, (), "'sigma_ratio' belongs to the projection 'hl_gauss', not to 'c51'"),
        (ATOMS | {"values": "each"}, ("values",), "'one' or 'per_action'"),
        ({"kind": "quantile"}, ("quantiles",), "Field required"),
        (
            {"kind": "dueling", "head": {"kind": "quantile", "quantiles": 3}},
            ("head",),
            "'dueling' wraps a head with a value for each action, such as 'discrete_value', or one with "
            "values = \"per_action\"; 'quantile' gives 'value'",
        ),
        (
            {"kind": "dueling", "head": {"kind": "implicit_quantile"} | PER_ACTION},
            ("head",),
            "'dueling' cannot wrap 'implicit_quantile': its two streams would draw other levels",
        ),
        (
            {"kind": "dueling", "head": {"kind": "dueling", "head": DISCRETE}},
            ("head",),
            "'dueling' cannot wrap 'dueling': it is dueling itself",
        ),
    ],
)
def test_values_that_do_not_fit_are_refused(table: dict[str, Any], where: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HEADS.validate_python(table)
    (error,) = caught.value.errors()
    assert error["loc"] == where
    assert message in error["msg"]


def test_log_std_stays_within_its_bounds_and_starts_in_the_middle() -> None:
    module = filled(TanhGaussian(log_std_min=-5.0, log_std_max=1.0))
    for scale, expected in ((0.0, -2.0), (1e6, None)):
        _, log_std = module(torch.full((1, 16), scale))
        assert log_std.min() >= -5 and log_std.max() <= 1
        if expected is None:
            assert set(log_std.flatten().tolist()) <= {-5.0, 1.0}, "far inputs saturate at the bounds"
        else:
            torch.testing.assert_close(log_std, torch.full_like(log_std, expected))


def test_log_std_may_be_clipped() -> None:
    module = filled(TanhGaussian(log_std_min=-0.5, log_std_max=0.25, log_std_bound="clip"))
    x = features(6)
    torch.testing.assert_close(module(x)[1], module.log_std(x).clamp(-0.5, 0.25))
    assert {-0.5, 0.25} < set(module(x)[1].flatten().tolist()), "cut on both sides, not everywhere"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of torch's own modules, when inductor is first imported.
@pytest.mark.parametrize("makes_code", [True, False], ids=["code", "traced"])
def test_compiled_heads_equal_eager_ones_in_one_graph(makes_code: bool) -> None:
    """All of them, two copies each, in training mode; code is made of those that draw random levels or noise."""
    torch.compiler.reset()
    drawing = [TABLES[name] for name in ("implicit_quantile per action", "noisy implicit_quantile")]
    tables, backend = (drawing, "inductor") if makes_code else ([*TABLES.values()], "aot_eager")
    heads = [HEADS.validate_python(table) for table in tables if table["kind"] != "features"]
    modules = [on_meta(head).train() for head in heads]
    stacks = [stack_module_state([filled(head, seed) for seed in (0, 1)]) for head in heads]

    def all_of_them(x: Tensor, buffers: list[dict[str, Tensor]]) -> list[Any]:
        def called(module: nn.Module, values: dict[str, Tensor], states: dict[str, Tensor]) -> Any:
            return vmap(lambda one, state: functional_call(module, one | state, (x,)))(values, states)

        return [called(module, stack[0], state) for module, stack, state in zip(modules, stacks, buffers, strict=True)]

    compiled = torch.compile(all_of_them, backend=backend, fullgraph=True, dynamic=False)
    states = [[{path: value.clone() for path, value in stack[1].items()} for stack in stacks] for _ in range(2)]
    for _ in range(2):
        torch.testing.assert_close(compiled(features(5), states[0]), all_of_them(features(5), states[1]))
        torch.testing.assert_close(*states)
    assert {int(value.max()) for state in states[0] for path, value in state.items() if path == "draws"} == {2}


def test_heads_of_values_logits_and_features_may_be_summed_and_those_of_actions_may_not() -> None:
    """A plug-in's head has to say that its outputs may be summed, before it is injected."""
    additive = {kind for kind, head in Head.kinds().items() if head.is_additive}
    assert {kind for kind in Head.kinds() if kind not in additive and "/" not in kind} == {
        "bounded_normal", "deterministic_tanh", "gaussian_policy", "tanh_gaussian",
    }  # fmt: skip
    assert not Head.is_additive


@pytest.mark.parametrize("hidden", [None, HIDDEN])
def test_mean_and_deviation_may_be_drawn_at_gains_of_their_own(hidden: list[dict[str, Any]] | None) -> None:
    """JAXRL's policy has sqrt(2) for the mean and 1 for the deviation; absent, both are drawn alike."""
    table: dict[str, Any] = {"kind": "tanh_gaussian", "weight": {"kind": "orthogonal", "gain": 2.0}}
    table |= {} if hidden is None else {"hidden": hidden}
    alike = HEADS.validate_python(table)
    apart = HEADS.validate_python({**table, "log_std_weight": {"kind": "orthogonal", "gain": 0.5}})
    for head, gain in ((alike, 2.0), (apart, 0.5)):
        plans = dict(head.outline(FEATURES, ACTIONS).named_parameters())
        means = [plan.initializer for path, plan in plans.items() if path.startswith("mean") and "weight" in path]
        deviations = [
            plan.initializer for path, plan in plans.items() if path.startswith("log_std") and "weight" in path
        ]
        assert (means[-1].gain, deviations[-1].gain) == (2.0, gain)  # type: ignore[attr-defined]
        weights = {path: value for path, value in filled(head).named_parameters() if path.endswith("weight")}
        last = [path for path in weights if path.startswith("log_std")][-1]
        norms = weights[last].detach().norm(dim=1)
        torch.testing.assert_close(norms, torch.full_like(norms, gain))
