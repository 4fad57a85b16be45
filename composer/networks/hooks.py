"""Inputs and outputs of modules inside a stacked network. Tests: tests/networks/test_hooks.py."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from composer.networks.stacked import Stacked, Template

Reduce = Callable[[Tensor], Tensor]
"""Reduces an input or output ``[B, ...]`` to the part that is kept in memory."""
Seen = dict[str, Tensor]
"""What a watcher has kept, ``[S, C, ...]`` by path of the module."""


class Watcher:
    """A copy of a network's module that returns inputs and outputs of its parts, while its structure stays."""

    def __init__(self, template: Template, outputs: Mapping[str, Reduce], inputs: Mapping[str, Reduce]) -> None:
        """``outputs`` and ``inputs`` name modules by path, each with the reduction of its output or input."""
        # A copy, so that no program that was compiled over the module sees a hook. It holds no memory.
        module = copy.deepcopy(template.evaluation)
        self._seen: dict[tuple[bool, str], Tensor] = {}
        for path, reduce in outputs.items():
            module.get_submodule(path).register_forward_hook(partial(_keep_output, self._seen, path, reduce))
        for path, reduce in inputs.items():
            module.get_submodule(path).register_forward_pre_hook(partial(_keep_input, self._seen, path, reduce))
        module.register_forward_pre_hook(lambda *_: self._seen.clear())
        # Replaces the output: what was seen leaves the mapping over members as an output does.
        module.register_forward_hook(lambda *_: tuple(self._seen.values()))
        self._template = copy.copy(template)
        self._template.evaluation = module

    def __call__(self, network: Stacked, x: Tensor) -> tuple[Seen, Seen]:
        """Run a network of this module on ``x [S, B, ...]`` in evaluation mode; returns outputs and inputs of modules.

        Both are named by the module's path, ``[S, C, ...]``. A module that is called several times is seen each time:
        ``PATH``, then ``PATH.call2`` and so on.
        """
        passed = Stacked(self._template, network.parameters, network.buffers)(x)
        values = dict(zip(self._seen, passed, strict=True))  # The names, now that it has run.
        self._seen.clear()
        left = {path: value for (entered, path), value in values.items() if not entered}
        return left, {path: value for (entered, path), value in values.items() if entered}


def watch(
    network: Stacked, x: Tensor, outputs: Mapping[str, Reduce], inputs: Mapping[str, Reduce]
) -> tuple[Seen, Seen]:
    """Outputs and inputs of modules as a ``Watcher`` returns them, once."""
    return Watcher(network.template, outputs, inputs)(network, x)


def _keep_output(
    seen: dict[tuple[bool, str], Tensor], path: str, reduce: Reduce, module: nn.Module, arguments: Any, output: Tensor
) -> None:
    seen[_unused_name(seen, False, path)] = reduce(output)


def _keep_input(
    seen: dict[tuple[bool, str], Tensor], path: str, reduce: Reduce, module: nn.Module, arguments: tuple[Tensor]
) -> None:
    seen[_unused_name(seen, True, path)] = reduce(arguments[0])


def _unused_name(seen: Mapping[tuple[bool, str], Tensor], entered: bool, path: str) -> tuple[bool, str]:
    """Whether it is an input, and the path, with the number of the call where the module is called again."""
    call, name = 1, path
    while (entered, name) in seen:
        call += 1
        name = f"{path}.call{call}"
    return entered, name
