"""Give matrix products to oneDNN, in the last pass before inductor generates code.

A file of its own, because inductor takes more than a second to import. Tests: tests/training/test_onednn.py.
"""

from __future__ import annotations

import torch
from torch.fx import Graph, Node

from composer.training.compile.onednn import LARGE

_ATEN = torch.ops.aten


def products_by_onednn(graph: Graph) -> None:
    """Replace float32 products that are large enough, with their bias and a relu where they have them, in place."""
    single, several = torch.ops.composer.product.default, torch.ops.composer.products.default
    for node in list(graph.nodes):
        if node.target is _ATEN.mm.default and _suits(*node.args):
            node.target = single
        elif node.target is _ATEN.bmm.default and _suits(*node.args):
            node.target = several
        elif node.target is _ATEN.addmm.default and not node.kwargs and _suits(*node.args[1:]):
            added, left, right = node.args
            if added.meta["val"].ndim == 1:
                node.target, node.args = single, (left, right, added)
            else:
                _add_to_product(graph, node)
        if node.target is single:
            _take_relu_in(graph, node)


def _add_to_product(graph: Graph, node: Node) -> None:
    """``added + left @ right`` as two operations."""
    added, left, right = node.args
    with graph.inserting_before(node):
        multiplied = graph.call_function(torch.ops.composer.product.default, (left, right))
        multiplied.meta["val"] = node.meta["val"]
        total = graph.call_function(_ATEN.add.Tensor, (multiplied, added))
    total.meta = dict(node.meta)
    node.replace_all_uses_with(total)
    graph.erase_node(node)


def _take_relu_in(graph: Graph, node: Node) -> None:
    """Let the product apply the relu that alone reads it."""
    (user, *others) = node.users
    if others or user.target is not _ATEN.relu.default:
        return
    left, right, *bias = node.args
    node.args = (left, right, *(bias or [None]), "relu")
    user.replace_all_uses_with(node)
    graph.erase_node(user)


def _suits(left: Node, right: Node) -> bool:
    """Whether the product of two nodes, matrices or stacks of them, is float32, large enough and quick in oneDNN.

    A right factor with gaps between its rows or columns has no fast code there: it took 4 s instead of 0.15 ms.
    """
    a, b = left.meta["val"], right.meta["val"]
    rows, columns = b.shape[-2:]
    is_dense = b.stride()[-2:] in ((columns, 1), (1, rows))
    return bool(a.dtype == torch.float32 and is_dense and 2 * a.shape[-2] * rows * columns >= LARGE)
