"""Seeing what passes inside a stacked network. Tests: tests/diagnostics/test_watching.py."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from composer.members import Stacked

Reduce = Callable[[Tensor], Tensor]
"""From what passes, ``[B, ...]``, to what is kept of it: the rest is not held in memory."""
Seen = dict[str, Tensor]


def watch(
    network: Stacked, x: Tensor, outputs: Mapping[str, Reduce], inputs: Mapping[str, Reduce]
) -> tuple[Seen, Seen]:
    """Run a network on ``x [S, B, ...]`` in evaluation mode; returns what left modules, and what entered others.

    Both are named by the module's path, and reduced as it says there: ``[S, C, ...]``. A module that is called several
    times is seen each time: ``PATH``, then ``PATH.call2`` and so on.
    """
    # A copy, so that no program that was compiled over the module sees a hook. It holds no memory.
    module = copy.deepcopy(network.template.evaluation)
    seen: dict[tuple[bool, str], Tensor] = {}
    for path, reduce in outputs.items():
        module.get_submodule(path).register_forward_hook(partial(_left, seen, path, reduce))
    for path, reduce in inputs.items():
        module.get_submodule(path).register_forward_pre_hook(partial(_entered, seen, path, reduce))
    module.register_forward_pre_hook(lambda *_: seen.clear())
    # Replaces the output: what was seen leaves the mapping over members as an output does.
    module.register_forward_hook(lambda *_: tuple(seen.values()))
    template = copy.copy(network.template)
    template.evaluation = module
    passed = Stacked(template, network.parameters, network.buffers)(x)
    values = dict(zip(seen, passed, strict=True))  # The names, now that it has run.
    left = {path: value for (entered, path), value in values.items() if not entered}
    return left, {path: value for (entered, path), value in values.items() if entered}


def _left(
    seen: dict[tuple[bool, str], Tensor], path: str, reduce: Reduce, module: nn.Module, arguments: Any, output: Tensor
) -> None:
    seen[_free(seen, False, path)] = reduce(output)


def _entered(
    seen: dict[tuple[bool, str], Tensor], path: str, reduce: Reduce, module: nn.Module, arguments: tuple[Tensor]
) -> None:
    seen[_free(seen, True, path)] = reduce(arguments[0])


def _free(seen: Mapping[tuple[bool, str], Tensor], entered: bool, path: str) -> tuple[bool, str]:
    call, name = 1, path
    while (entered, name) in seen:
        call += 1
        name = f"{path}.call{call}"
    return entered, name
