"""Give large matrix products to oneDNN, in the last pass before inductor generates code.

A file of its own, because inductor takes more than a second to import. Tests: tests/training/test_onednn.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._inductor.custom_graph_pass import CustomGraphPass

from composer.training.compile.onednn import better_by_onednn

LARGE = 2**26
"""Operations of one product from which it pays; below, MKL is as fast and a separate call costs more."""

_ATEN = torch.ops.aten


class LargeProducts(CustomGraphPass):
    """Replaces large float32 products by those of oneDNN."""

    def __call__(self, graph: torch.fx.Graph) -> None:
        """Change a graph of aten operations in place."""
        single, several = torch.ops.composer.product.default, torch.ops.composer.products.default
        for node in list(graph.nodes):
            if node.target is _ATEN.mm.default and _is_large(*node.args):
                node.target = single
            elif node.target is _ATEN.bmm.default and _is_large(*node.args):
                node.target = several
            elif node.target is _ATEN.addmm.default and not node.kwargs and _is_large(*node.args[1:]):
                added, left, right = node.args
                with graph.inserting_before(node):
                    multiplied = graph.call_function(single, (left, right))
                    multiplied.meta["val"] = node.meta["val"]
                    total = graph.call_function(_ATEN.add.Tensor, (multiplied, added))
                total.meta = dict(node.meta)
                node.replace_all_uses_with(total)
                graph.erase_node(node)

    def uuid(self) -> Any:
        """Part of the key under which compiled code is cached."""
        return f"composer large products {LARGE}"


def options(device: str) -> dict[str, Any]:
    """Options of ``torch.compile`` for a program on ``device``."""
    return {} if device != "cpu" or not better_by_onednn() else {"post_grad_custom_post_pass": LargeProducts()}


def _is_large(left: Any, right: Any) -> bool:
    """Whether the float32 product of two nodes, matrices or stacks of them, is large enough for a separate call."""
    a, b = left.meta["val"], right.meta["val"]
    return bool(a.dtype == torch.float32 and 2 * a.shape[-2] * a.shape[-1] * b.shape[-1] >= LARGE)
