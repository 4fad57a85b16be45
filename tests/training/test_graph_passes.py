"""What compiled programs for a CPU are made of: kernels, passes over parameters, transposes, powers; and guards."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._inductor.utils import fresh_cache, run_and_get_code
from torch.fx.experimental.proxy_tensor import make_fx

from composer.networks.stacked import Stacked, Template
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Constant
from composer.optim.steps import AdamState
from composer.training.compile import capture as compiling
from composer.training.compile.capture import Choice, capture
from composer.training.compile.graph_passes import keep_numbers, options, transpose_factors

POOLED = r"torch\.ops\.composer\.pool(?:_gradient)?\.default\("


def targets(graph: torch.fx.GraphModule) -> list[str]:
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_a_stack_that_is_read_transposed_is_multiplied_transposed() -> None:
    given = torch.randn(2, 5, 3), torch.randn(2, 3, 4)

    def function(left: Tensor, right: Tensor) -> Tensor:
        return torch.bmm(left, right).mT.exp()

    graph = make_fx(function)(*given)
    for node, value in zip(graph.graph.find_nodes(op="placeholder"), given, strict=True):
        node.meta["val"] = value
    for node in graph.graph.find_nodes(op="call_function", target=torch.ops.aten.transpose.int):
        node.target, node.args = torch.ops.aten.permute.default, (node.args[0], [0, 2, 1])  # As inductor spells it.
    before = targets(graph)
    transpose_factors(graph.graph)
    assert before == ["aten.bmm.default", "aten.permute.default", "aten.exp.default"]
    assert targets(graph) == ["aten.permute.default"] * 2 + ["aten.bmm.default", "aten.exp.default"]
    torch.testing.assert_close(graph(*given), function(*given))


def test_float32_numbers_of_a_step_that_come_of_float64_are_kept() -> None:
    to = torch.ops.prims.convert_element_type.default
    graph = torch.fx.Graph()
    shapes = {"numbers": (8, 1), "one": (1,), "weights": (100, 100)}
    for name, shape in shapes.items():
        source = graph.placeholder(name)
        source.meta["val"] = torch.empty(shape, dtype=torch.float64)
        found = graph.call_function(to, (source, torch.float32))
        found.meta["val"] = torch.empty(shape)
        graph.call_function(torch.ops.aten.exp.default, (found,))
    keep_numbers(graph)
    read = [
        str(node.args[0].target) for node in graph.find_nodes(op="call_function", target=torch.ops.aten.exp.default)
    ]
    assert read == ["prims.inductor_force_stride_order.default", str(to), str(to)]


@pytest.mark.slow
def test_pools_and_their_gradients_are_torchs() -> None:
    """Compiled code calls two operations for a pool, and none of its loops scatters."""
    torch._dynamo.config.trace_autograd_ops = True
    weight = torch.randn(8, 3, 3, 3, requires_grad=True)

    def function(x: Tensor) -> tuple[Tensor, Tensor]:
        y = torch.nn.functional.max_pool2d(torch.nn.functional.conv2d(x, weight).relu(), 3, 2, 1, ceil_mode=True)
        (gradient,) = torch.autograd.grad(y.square().sum(), [weight])
        return y.detach(), gradient

    for layout in (torch.contiguous_format, torch.channels_last):
        torch.compiler.reset()
        x = torch.randn(2, 3, 21, 21).to(memory_format=layout)
        with fresh_cache():
            compiled = torch.compile(function, fullgraph=True, options=options("cpu"))
            found, (code,) = run_and_get_code(compiled, x)
        for one, other in zip(found, function(x), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
        assert len(re.findall(POOLED, code)) == 2 and "scatter" not in code and "int64_t*" not in code


@pytest.mark.slow
def test_pools_that_are_flattened_or_overlap_in_a_row_have_their_gradients_too() -> None:
    """As in convolutional networks whose last pool a linear layer reads."""
    torch._dynamo.config.trace_autograd_ops = True
    kernel, weight = torch.randn(8, 3, 3, 3, requires_grad=True), torch.randn(8 * 5 * 5, 4, requires_grad=True)

    def function(x: Tensor) -> tuple[Tensor, ...]:
        y = torch.nn.functional.max_pool2d(torch.nn.functional.conv2d(x, kernel), 3, 1)
        z = torch.nn.functional.max_pool2d(y, 3, 2, 1).flatten(1) @ weight
        return z.detach(), *torch.autograd.grad(z.square().sum(), [kernel, weight])

    for layout in (torch.contiguous_format, torch.channels_last):
        torch.compiler.reset()
        x = torch.randn(2, 3, 13, 13).to(memory_format=layout)
        with fresh_cache():
            compiled = torch.compile(function, fullgraph=True, options=options("cpu"))
            found, (code,) = run_and_get_code(compiled, x)
        for one, other in zip(found, function(x), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        assert len(re.findall(POOLED, code)) == 4


def step_of(copies: int) -> tuple[Callable[[Tensor], None], Callable[[], Sequence[Tensor]]]:
    """A gradient step of a network of two layers, and its average; the tensors that it changes."""
    shapes = {"0.weight": (32, 16), "0.bias": (32,), "2.weight": (8, 32), "2.bias": (8,)}
    parameters = {path: torch.randn(1, copies, *shape, requires_grad=True) for path, shape in shapes.items()}
    layers = torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 8)
    network = Stacked(Template(lambda: torch.nn.Sequential(*layers)), parameters, {})
    average = [value.detach().clone() for value in parameters.values()]
    state = AdamState(parameters, Hyperparameters(1, "cpu"), Constant(value=1e-3), 0.9, 0.999, 1e-8, 0.0, ())

    def step(x: Tensor) -> None:
        loss = network(x).square().mean()
        state.step(torch.autograd.grad(loss, list(parameters.values())))
        with torch.no_grad():
            for value, source in zip(average, parameters.values(), strict=True):
                value.lerp_(source, 0.005)

    return step, lambda: [*parameters.values(), *state.tensors().values(), *average]


@pytest.mark.slow
@pytest.mark.parametrize("copies", [2, 5])
def test_a_step_passes_once_over_its_parameters(copies: int) -> None:
    """Adam and average in one loop, no power in it, no gradient transposed; two copies have products of their own."""
    torch.manual_seed(0)
    compiled, state = step_of(copies)
    torch.manual_seed(0)
    eager, expected = step_of(copies)
    x = torch.randn(1, 64, 16)
    torch._dynamo.config.trace_autograd_ops = True
    with fresh_cache():
        _, (code,) = run_and_get_code(torch.compile(compiled, fullgraph=True, options=options("cpu")), x)
    eager(x)
    for one, other in zip(state(), expected(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    kernels = re.findall(r"cpp_pybinding\(.*?'''(.*?)'''", code, re.DOTALL)
    loops = [loop for kernel in kernels for loop in re.split(r"(?m)^    \{$", kernel)]
    steps = [loop for loop in loops if "sqrt" in loop]
    # One loop for each parameter, which stores the parameter, both moments and the average.
    assert len(steps) == 4
    assert all(loop.count(".store(") >= 4 and "std::pow" not in loop for loop in steps)
    assert sum(loop.count("transpose_mxn") for loop in steps) == 0
    assert code.count("extern_kernels.bmm(") == (0 if copies == 2 else 5)
    assert len(re.findall(r"(?m)^        cpp_fused", code)) <= 8


class Counter:
    """Two of them share their code, not their state."""

    def __init__(self, start: float) -> None:
        self.held = {"count": torch.full((3,), start)}

    def add(self, x: Tensor) -> Tensor:
        self.held["count"].add_(x)
        return self.held["count"] * 2


def test_only_arguments_are_guarded_and_programs_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    compile_ = torch.compile

    def watched(function: Callable[..., Any], *, options: dict[str, Any], **rest: Any) -> Callable[..., Any]:
        def keep(guards: Sequence[Any]) -> list[bool]:
            chosen: list[bool] = options["guard_filter_fn"](guards)
            kept.append(sum(chosen))
            assert len(chosen) > kept[-1]
            return chosen

        return compile_(function, backend="eager", options={"guard_filter_fn": keep}, **rest)

    monkeypatch.setattr(torch, "compile", watched)
    monkeypatch.setattr(compiling, "fill_cache", lambda: None)
    one, other = Counter(0.0), Counter(10.0)
    choice = Choice(True, "a test")
    programs = [capture(function, choice, "cpu", list) for function in (one.add, other.add)]
    for _ in range(2):
        for program in programs:
            program(torch.ones(3))
    assert [each.held["count"].tolist() for each in (one, other)] == [[2.0] * 3, [12.0] * 3]
    assert len(kept) == 2 and max(kept) <= 12
    # An argument of another shape is another program, not memory read beyond its end.
    assert programs[0](torch.ones(1)).tolist() == [6.0] * 3 and len(kept) == 3
