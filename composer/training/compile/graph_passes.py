"""What a program for a CPU is changed into, in the last pass before inductor generates code.

Of what inductor makes of a step, two things cost more than the arithmetic: it computes the numbers of the step, powers
in float64, again for every vector of a parameter; and it transposes gradients of stacked weights, which their product
could have written in the weight's layout (docs/decisions/0041-kernels.md). Imported late: inductor takes more than a
second. Tests: tests/training/test_graph_passes.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._inductor import inductor_prims
from torch._inductor.custom_graph_pass import CustomGraphPass
from torch.fx import Graph

from composer.training.compile.onednn import LARGE, better_by_onednn
from composer.training.compile.onednn_pass import products_by_onednn
from composer.training.compile.pool_pass import pools_by_torch

FEW_NUMBERS = 4096
"""Up to as many entries of a tensor are numbers of a step, not weights."""

_ATEN = torch.ops.aten
_TRANSPOSED = [0, 2, 1]


class CpuPasses(CustomGraphPass):
    """The passes over one graph of aten operations, in order."""

    def __call__(self, graph: Graph) -> None:
        """Change it in place."""
        transpose_factors(graph)
        keep_numbers(graph)
        pools_by_torch(graph)
        if better_by_onednn():
            products_by_onednn(graph)

    def uuid(self) -> Any:
        """Part of the key under which compiled code is cached."""
        return f"composer passes 3, oneDNN {better_by_onednn()} from {LARGE}"


def options(device: str) -> dict[str, Any]:
    """Options of ``torch.compile`` for a program on ``device``."""
    if device != "cpu":
        return {}
    # Shapes and addresses of a program are fixed, and a call would compare every one of them again.
    return {"post_grad_custom_post_pass": CpuPasses(), "size_asserts": False, "alignment_asserts": False}


def transpose_factors(graph: Graph) -> None:
    """Of a stack of products that is only read transposed, multiply the transposed factors: ``(A B)^T = B^T A^T``."""
    for node in list(graph.find_nodes(op="call_function", target=_ATEN.bmm.default)):
        readers = list(node.users)
        if not all(user.target is _ATEN.permute.default and user.args[1] == _TRANSPOSED for user in readers):
            continue
        left, right = node.args
        with graph.inserting_before(node):
            factors = [graph.call_function(_ATEN.permute.default, (each, _TRANSPOSED)) for each in (right, left)]
            for made, each in zip(factors, (right, left), strict=True):
                made.meta["val"] = each.meta["val"].mT
            flipped = graph.call_function(_ATEN.bmm.default, tuple(factors))
        flipped.meta["val"] = node.meta["val"].mT.contiguous()
        for user in readers:
            user.replace_all_uses_with(flipped)
            graph.erase_node(user)
        graph.erase_node(node)


def keep_numbers(graph: Graph) -> None:
    """Compute the few float32 numbers that come of float64 ones once, in memory, not in every reader's loop."""
    for node in list(graph.find_nodes(op="call_function", target=torch.ops.prims.convert_element_type.default)):
        found, source = node.meta["val"], node.args[0].meta["val"]
        if not (source.dtype == torch.float64 and found.dtype == torch.float32 and 1 < found.numel() <= FEW_NUMBERS):
            continue
        with graph.inserting_after(node):
            kept = graph.call_function(inductor_prims.force_stride_order, (node, list(found.stride())))
        kept.meta["val"] = found
        node.replace_all_uses_with(kept, delete_user_cb=lambda user, kept=kept: user is not kept)
