"""A module as one flat function of its input and tensors, which skips the calls of the modules inside.

The function makes the same operations in the same order, so its results are equal to the bit. A module costs a few
microseconds per call, as much as a layer of a small network at one observation.
Tests: tests/networks/test_flat_function.py, tests/networks/test_eager_equals_mapped.py.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from typing_extensions import override


class _Untraceable(Exception):
    """A forward pass that depends on more than its input and the module's tensors."""


class _Tracer(fx.Tracer):
    """Follows every module inside; refuses what a flat function would do differently."""

    proxy_buffer_attributes = True

    @override
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return False

    @override
    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        # A context of the forward pass is not part of the graph.
        if not torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            raise _Untraceable
        return super().create_node(*args, **kwargs)

    @override
    def create_arg(self, a: Any) -> Any:
        # A tensor made inside would be the same at every call, even a random one.
        if isinstance(a, Tensor):
            raise _Untraceable
        return super().create_arg(a)


class FlatFunction:
    """``call(x, *tensors)`` with the tensors of ``paths``, in order."""

    def __init__(self, graph: fx.Graph) -> None:
        """Over the graph of a module, whose tensors become arguments."""
        self.paths: list[str] = []
        """Parameters and buffers that the module reads."""
        arguments: dict[str, fx.Node] = {}
        placeholder = next(iter(graph.nodes))
        for node in list(graph.nodes):
            if node.op == "get_attr":
                path = str(node.target)
                if path not in arguments:
                    with graph.inserting_after([placeholder, *arguments.values()][-1]):
                        arguments[path] = graph.placeholder(f"tensor_{len(arguments)}")
                node.replace_all_uses_with(arguments[path])
                graph.erase_node(node)
        self.paths = list(arguments)
        self._module = fx.GraphModule(nn.Module(), graph)
        self.call: Callable[..., Any] = self._module.forward


def hooks_of(module: nn.Module) -> list[Any]:
    """The hooks of a module and of those inside, as they keep them."""
    return [held for each in module.modules() for name, held in vars(each).items() if "_hooks" in name]


def flat_function(module: nn.Module) -> FlatFunction | None:
    """The flat function of a module; None where its forward pass depends on values, modes or contexts."""
    # A copy, so that nothing of a trace that fails midway stays in the module; one without its hooks.
    unwatched = {id(hooks): OrderedDict[int, Any]() for hooks in hooks_of(module)}
    try:
        with torch.enable_grad():
            return FlatFunction(_Tracer().trace(copy.deepcopy(module, unwatched)))
    except (_Untraceable, fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError):
        return None
