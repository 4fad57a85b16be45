"""Hands large products of matrices to another library, before inductor makes code of a program.

A room of its own, for inductor takes more than a second to import. Tests: tests/training/test_onednn.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._inductor.custom_graph_pass import CustomGraphPass

from composer.training.compile.onednn import better_by_onednn

LARGE = 2**26
"""Operations of one product from which on it pays: below, MKL is as fast, and a call of its own costs more."""

_ATEN = torch.ops.aten


class LargeProducts(CustomGraphPass):
    """Puts oneDNN's products in the place of large ones of float32."""

    def __call__(self, graph: torch.fx.Graph) -> None:
        """Changes a graph of aten operations, the last before code is made."""
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
        """What compiled code is found again by."""
        return f"composer large products {LARGE}"


def options(device: str) -> dict[str, Any]:
    """What ``torch.compile`` is told for a program on ``device``."""
    return {} if device != "cpu" or not better_by_onednn() else {"post_grad_custom_post_pass": LargeProducts()}


def _is_large(left: Any, right: Any) -> bool:
    """Whether the two nodes are factors, or stacks of them, of a product of float32 that is worth a call of its own."""
    a, b = left.meta["val"], right.meta["val"]
    return bool(a.dtype == torch.float32 and 2 * a.shape[-2] * a.shape[-1] * b.shape[-1] >= LARGE)
