"""Products of compiled programs by oneDNN: the same numbers, and only where the processor wants it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._inductor.custom_graph_pass import CustomGraphPass
from torch.fx.experimental.proxy_tensor import make_fx

from composer.training.compile import onednn as products
from composer.training.compile import onednn_pass as handover
from composer.training.compile.onednn import better_by_onednn, product, products_setting
from composer.training.compile.onednn_pass import products_by_onednn


@pytest.mark.parametrize("left_first", [True, False])
@pytest.mark.parametrize("right_first", [True, False])
def test_a_product_is_that_of_torch_in_every_layout(left_first: bool, right_first: bool) -> None:
    left = torch.randn(33, 17) if left_first else torch.randn(17, 33).mT
    right = torch.randn(17, 29) if right_first else torch.randn(29, 17).mT
    torch.testing.assert_close(product(left, right), left @ right)
    bias = torch.randn(29)
    torch.testing.assert_close(product(left, right, bias, "relu"), (left @ right + bias).relu())
    stacks = torch.stack([left, -left]), torch.stack([right, 2 * right])
    torch.testing.assert_close(products.products(*stacks), stacks[0] @ stacks[1])


def several(x: Tensor, weight: Tensor, bias: Tensor, stack: Tensor) -> tuple[Tensor, ...]:
    """Every kind of product, and their gradients."""
    weight, bias, stack = (each.detach().requires_grad_() for each in (weight, bias, stack))
    hidden = torch.nn.functional.linear(x, weight, bias)
    out = torch.bmm(hidden.relu().expand(2, -1, -1), stack).sum(0) @ weight
    return out.detach(), *torch.autograd.grad(out.square().mean(), (weight, bias, stack))


@pytest.mark.slow
def test_compiled_programs_with_and_without_it_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone makes code with oneDNN's products in it, and compares its numbers."""
    monkeypatch.setattr(handover, "LARGE", 2**10)
    replaced: list[str] = []

    class Watched(CustomGraphPass):
        def __call__(self, graph: torch.fx.Graph) -> None:
            products_by_onednn(graph)
            replaced.extend(str(node.target) for node in graph.nodes if "composer.product" in str(node.target))
            left = [node for node in graph.nodes if str(node.target) in ("aten.mm.default", "aten.addmm.default")]
            assert left == []

        def uuid(self) -> None:
            """Never found again."""

    given = torch.randn(32, 16), torch.randn(24, 16), torch.randn(24), torch.randn(2, 24, 24)
    torch.compiler.reset()
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        compiled = torch.compile(several, fullgraph=True, options={"post_grad_custom_post_pass": Watched()})
        found = compiled(*given)
    for one, other in zip(found, several(*given), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert set(replaced) == {"composer.product.default", "composer.products.default"} and len(replaced) >= 6


def graph_of(function: Callable[..., Any], *given: Tensor) -> torch.fx.GraphModule:
    """The graph of aten operations that the pass changes."""
    traced = make_fx(function)(*given)
    for node, value in zip(traced.graph.find_nodes(op="placeholder"), given, strict=True):
        node.meta["val"] = value
    return traced


def targets(graph: torch.fx.GraphModule) -> list[str]:
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_bias_and_relu_are_part_of_the_product() -> None:
    given = torch.randn(256), torch.randn(128, 128), torch.randn(128, 256)
    graph = graph_of(lambda bias, x, weight: torch.addmm(bias, x, weight).relu(), *given)
    products_by_onednn(graph.graph)
    assert targets(graph) == ["composer.product.default"]
    torch.testing.assert_close(graph(*given), torch.addmm(*given).relu())


def test_a_relu_is_left_where_the_sum_before_it_is_read_too() -> None:
    given = torch.randn(256), torch.randn(128, 128), torch.randn(128, 256)

    def both(bias: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.addmm(bias, x, weight)
        return total.relu(), total

    graph = graph_of(both, *given)
    products_by_onednn(graph.graph)
    assert targets(graph) == ["composer.product.default", "aten.relu.default"]
    for found, expected in zip(graph(*given), both(*given), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("right", "moves"),
    [
        (torch.empty(256, 256), True),
        (torch.empty(256, 256).mT, True),
        (torch.empty(256, 23), False),  # Small.
        (torch.empty(256, 300)[:, :256], False),  # With gaps.
        (torch.empty(256, 300)[:, :256].mT, False),
        (torch.empty(256, 256, dtype=torch.bfloat16), False),
    ],
)
def test_small_products_other_numbers_and_gaps_stay(right: Tensor, moves: bool) -> None:
    graph = graph_of(torch.mm, torch.empty(256, 256, dtype=right.dtype), right)
    products_by_onednn(graph.graph)
    assert targets(graph) == ["composer.product.default" if moves else "aten.mm.default"]


@pytest.mark.parametrize(
    ("vendor", "capability", "expected"),
    [("AuthenticAMD", "AVX512", True), ("AuthenticAMD", "AVX2", False), ("GenuineIntel", "AVX512", False)],
)
def test_the_processor_decides(
    vendor: str, capability: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(f"processor : 0\nvendor_id : {vendor}\n")
    monkeypatch.setattr(products, "_CPU_FACTS", facts)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    better_by_onednn.cache_clear()
    try:
        assert better_by_onednn() is expected
        assert products_setting() == ("oneDNN from 3145728 operations" if expected else "MKL")
        monkeypatch.setattr(products, "_CPU_FACTS", tmp_path / "none")
        better_by_onednn.cache_clear()
        assert not better_by_onednn()
    finally:
        better_by_onednn.cache_clear()
