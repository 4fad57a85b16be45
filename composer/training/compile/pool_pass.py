"""Leave max pooling to torch's own kernels, in the last pass before inductor generates code.

The loops that inductor generates for it took 33 ms of an update of IMPALA's network, torch's 14
(docs/decisions/0014-convolutions.md). Imported late, as ``graph_passes`` is.
Tests: tests/training/test_graph_passes.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._inductor import inductor_prims
from torch.fx import Graph, Node

_ATEN = torch.ops.aten
_UNFOLDED = (_ATEN.clone.default, _ATEN.reshape.default)
_Pair = Sequence[int]


def _pool(x: Tensor, kernel: _Pair, stride: _Pair, padding: _Pair, dilation: _Pair, ceil: bool) -> list[Tensor]:
    return list(_ATEN.max_pool2d_with_indices(x, kernel, stride, padding, dilation, ceil))


def _gradient(
    g: Tensor, x: Tensor, kernel: _Pair, stride: _Pair, padding: _Pair, dilation: _Pair, ceil: bool, indices: Tensor
) -> Tensor:
    found: Tensor = _ATEN.max_pool2d_with_indices_backward(g, x, kernel, stride, padding, dilation, ceil, indices)
    return found


_LIBRARY = torch.library.Library("composer", "FRAGMENT")
_WINDOWS = "int[] kernel, int[] stride, int[] padding, int[] dilation, bool ceil"
_LIBRARY.define(f"pool(Tensor x, {_WINDOWS}) -> Tensor[]")
_LIBRARY.define(f"pool_gradient(Tensor g, Tensor x, {_WINDOWS}, Tensor indices) -> Tensor")
for _place in ("CPU", "Meta"):
    _LIBRARY.impl("pool", _pool, _place)
    _LIBRARY.impl("pool_gradient", _gradient, _place)


def pools_by_torch(graph: Graph) -> None:
    """Replace max pooling over images and its gradient, in place; pools whose places are read otherwise stay."""
    scatters = graph.find_nodes(op="call_function", target=_ATEN.scatter_add.default)
    scattered = {_unfolded(node.args[2]): node for node in scatters}
    for node in list(graph.find_nodes(op="call_function", target=inductor_prims._low_memory_max_pool_with_offsets)):
        parts = [part for part in node.users if part.args[1] == 1]
        results = [_result(scattered.get(user), node) for part in parts for user in part.users]
        if len(node.args[1]) == 2 and None not in results:
            node.target = torch.ops.composer.pool.default
            node.meta["val"] = [each if each.is_floating_point() else each.long() for each in node.meta["val"]]
            for part in parts:
                # What is kept for the gradient is a place in the window; torch's kernel tells the place in the image.
                part.meta["val"] = node.meta["val"][1]
            for result in results:
                _scatter_by_torch(graph, node, parts[0], result)


def _result(scatter: Any, pool: Any) -> Any:
    """The gradient ``[b, c, h, w]`` that a scatter is read as; None where it is read in another way."""
    users = list(scatter.users) if scatter is not None else []
    is_image = len(users) == 1 and users[0].meta["val"].shape == pool.args[0].meta["val"].shape
    return users[0] if is_image and users[0].target is _ATEN.reshape.default else None


def _scatter_by_torch(graph: Graph, pool: Any, indices: Any, result: Any) -> None:
    shape = list(indices.meta["val"].shape)
    given = result.args[0].args[3]
    while given.target in _UNFOLDED and list(given.meta["val"].shape) != shape:
        given = given.args[0]
    if list(given.meta["val"].shape) != shape:  # The pooled images were flattened.
        with graph.inserting_before(result):
            folded = graph.call_function(_ATEN.reshape.default, (result.args[0].args[3], shape))
        folded.meta["val"] = result.args[0].args[3].meta["val"].reshape(shape)
        given = folded
    with graph.inserting_before(result):
        gradient = graph.call_function(torch.ops.composer.pool_gradient.default, (given, *pool.args, indices))
    gradient.meta = dict(result.meta)
    result.replace_all_uses_with(gradient)
    _erase(graph, result)


def _unfolded(node: Any) -> Any:
    """What a node was before it was copied and its axes were joined."""
    while node.target in _UNFOLDED:
        node = node.args[0]
    return node


def _erase(graph: Graph, node: Node) -> None:
    """Erase a node that nothing reads, and what only it read."""
    if node.op == "call_function" and not node.users:
        read = node.all_input_nodes
        graph.erase_node(node)
        for each in read:
            _erase(graph, each)
