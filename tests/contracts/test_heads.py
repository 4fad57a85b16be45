"""Every kind of head keeps the contract: what it declares is what it builds, for the product that it names."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from composer.fresh import draw
from composer.heads import Head, TanhGaussian
from composer.networks import Network
from composer.shapes import ShapeError
from composer.streams import derive

HEADS: TypeAdapter[Head] = TypeAdapter(Head)
FEATURES, ACTIONS = (16,), 3
PRODUCTS = {"scalar": "value", "tanh_gaussian": "tanh_gaussian", "deterministic_tanh": "deterministic_action"}


@pytest.fixture(params=sorted(Head.kinds()))
def example(request: pytest.FixtureRequest) -> Head:
    return HEADS.validate_python(Head.kinds()[request.param].example)


def filled(head: Head) -> nn.Module:
    with torch.device("meta"):
        module = head.build(FEATURES, ACTIONS)
    module.load_state_dict(draw(head.outline(FEATURES, ACTIONS), lambda path: derive(0, path)), assign=True)
    return module.requires_grad_(True)


def returned(module: nn.Module, x: Tensor) -> list[Tensor]:
    output = module(x)
    return list(output) if isinstance(output, tuple) else [output]


def test_round_trips_and_names_what_it_produces(example: Head) -> None:
    assert HEADS.validate_python(HEADS.dump_python(example)) == example
    assert example.produces == PRODUCTS[example.kind]


def test_what_is_outlined_is_built(example: Head) -> None:
    outline = example.outline(FEATURES, ACTIONS)
    with torch.device("meta"):
        module = example.build(FEATURES, ACTIONS)
        outputs = returned(module, torch.empty(5, *FEATURES))
    planned = {path: plan.shape for path, plan in outline.named_parameters()}
    assert planned == {path: tuple(parameter.shape) for path, parameter in module.named_parameters()}
    assert {tuple(output.shape) for output in outputs} == {(5, *outline.output)}


def test_starts_orthogonal_without_bias_and_gradients_reach(example: Head) -> None:
    module = filled(example)
    x = torch.randn(7, *FEATURES, generator=torch.Generator().manual_seed(1))
    total = sum(
        (output * torch.linspace(-1, 2, output.numel()).view_as(output)).sum() for output in returned(module, x)
    )
    assert isinstance(total, Tensor)
    total.backward()
    for path, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), path
        if path.endswith("weight"):
            torch.testing.assert_close(parameter @ parameter.mT, torch.eye(len(parameter)))
        else:
            assert not parameter.any()


def test_only_vectors_are_taken(example: Head) -> None:
    for method in (example.outline, example.build):
        with pytest.raises(ShapeError, match=rf"the head '{example.kind}' takes a vector; .* shape \[2, 16\]"):
            method((2, 16), ACTIONS)


def test_network_errors_lead_through_trunk_and_head() -> None:
    bad = {"kind": "scalar", "bias_init": {"kind": "orthogonal"}}
    with pytest.raises(ShapeError) as caught:
        Network.model_validate({"trunk": [{"kind": "relu"}], "head": bad}).outline((4,), 1)
    assert caught.value.steps == ("head", "bias_init")
    with pytest.raises(ShapeError) as caught:
        Network.model_validate({"trunk": [{"kind": "tanh"}, {"kind": "rms_norm"}], "head": {"kind": "scalar"}}).build(
            (), 1
        )
    assert caught.value.steps == ("trunk", "layers", 1)


def test_log_std_stays_within_its_bounds_and_starts_in_the_middle() -> None:
    module = filled(TanhGaussian(log_std_min=-5.0, log_std_max=1.0))
    for scale, expected in ((0.0, -2.0), (1e6, None)):
        _, log_std = module(torch.full((1, 16), scale))
        assert log_std.min() >= -5 and log_std.max() <= 1
        if expected is None:
            assert set(log_std.flatten().tolist()) <= {-5.0, 1.0}, "far inputs saturate at the bounds"
        else:
            torch.testing.assert_close(log_std, torch.full_like(log_std, expected))


def test_log_std_bounds_must_be_ordered() -> None:
    with pytest.raises(ValidationError, match=r"'log_std_min' \(2.0\) must be below 'log_std_max' \(2.0\)"):
        TanhGaussian(log_std_min=2.0)
