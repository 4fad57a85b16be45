"""Large products of compiled programs by oneDNN: the same numbers, and only where the processor wants it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from composer.training.compile import onednn as products
from composer.training.compile import onednn_pass as handover
from composer.training.compile.onednn import better_by_onednn, product
from composer.training.compile.onednn_pass import LargeProducts, options


@pytest.mark.parametrize("left_first", [True, False])
@pytest.mark.parametrize("right_first", [True, False])
def test_a_product_is_that_of_torch_in_every_layout(left_first: bool, right_first: bool) -> None:
    left = torch.randn(33, 17) if left_first else torch.randn(17, 33).mT
    right = torch.randn(17, 29) if right_first else torch.randn(29, 17).mT
    torch.testing.assert_close(product(left, right), left @ right)
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

    class Watched(LargeProducts):
        def __call__(self, graph: torch.fx.Graph) -> None:
            super().__call__(graph)
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


def test_small_products_and_other_numbers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = torch.fx.Graph()
    left, right = graph.placeholder("left"), graph.placeholder("right")
    node = graph.call_function(torch.ops.aten.mm.default, (left, right))
    graph.output(node)

    def judged(inner: int, kind: torch.dtype) -> str:
        node.target = torch.ops.aten.mm.default
        shapes = ((256, inner), (inner, 256))
        for each, shape in zip((left, right), shapes, strict=True):
            each.meta["val"] = torch.empty(*shape, dtype=kind, device="meta")
        LargeProducts()(graph)
        return str(node.target)

    assert judged(512, torch.float32) == "composer.product.default"
    assert judged(511, torch.float32) == judged(512, torch.bfloat16) == "aten.mm.default"


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
        assert bool(options("cpu")) is expected and not options("cuda")
        monkeypatch.setattr(products, "_CPU_FACTS", tmp_path / "none")
        better_by_onednn.cache_clear()
        assert not better_by_onednn()
    finally:
        better_by_onednn.cache_clear()
