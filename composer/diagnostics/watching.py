"""Seeing what passes inside a stacked network. Tests: tests/diagnostics/test_watching.py."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from composer.members import Stacked

Reduce = Callable[[Tensor], Tensor]
"""From a module's output ``[B, ...]`` to what is kept of it: the rest is not held in memory."""


def watch(network: Stacked, x: Tensor, *groups: Mapping[str, Reduce]) -> tuple[dict[str, Tensor], ...]:
    """Run a network on ``x [S, B, ...]`` in evaluation mode; returns what passed, ``[S, C, ...]`` by path, by group.

    Each group names modules by path, and how their output is reduced. A module that is called several times is seen
    each time: ``PATH``, then ``PATH.call2`` and so on.
    """
    # A copy, so that no program that was compiled over the module sees a hook. It holds no memory.
    module = copy.deepcopy(network.template.evaluation)
    seen: dict[tuple[int, str], Tensor] = {}
    for index, group in enumerate(groups):
        for path, reduce in group.items():
            module.get_submodule(path).register_forward_hook(_Eye(seen, index, path, reduce))
    module.register_forward_pre_hook(lambda *_: seen.clear())
    # Replaces the output: what was seen leaves the mapping over members as an output does.
    module.register_forward_hook(lambda *_: tuple(seen.values()))
    template = copy.copy(network.template)
    template.evaluation = module
    values = Stacked(template, network.parameters, network.buffers)(x)
    found: tuple[dict[str, Tensor], ...] = tuple({} for _ in groups)
    for (index, path), value in zip(seen, values, strict=True):
        found[index][path] = value
    return found


class _Eye:
    """A forward hook."""

    def __init__(self, seen: dict[tuple[int, str], Tensor], index: int, path: str, reduce: Reduce) -> None:
        self._seen, self._index, self._path, self._reduce = seen, index, path, reduce

    def __call__(self, module: nn.Module, arguments: Any, output: Tensor) -> None:
        path, call = self._path, 1
        while (self._index, path) in self._seen:
            call += 1
            path = f"{self._path}.call{call}"
        self._seen[self._index, path] = self._reduce(output)
