"""One module per member of a stack, over that member's own tensors: for eager calls of few members.

A functional call puts every tensor into its module and takes it out again, which takes longer than the layers of a
small network. Legend: S seeds, C copies. Tests: tests/networks/test_eager_equals_mapped.py.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn


class MemberModules:
    """Copies of a module, by seed and copy, that share the memory of a stack."""

    def __init__(self, module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> None:
        """Tensors ``[S, C, ...]`` by path."""
        self._made_of = module, parameters, buffers
        self._tensors = {**parameters, **buffers}
        self._addresses = [value.data_ptr() for value in self._tensors.values()]
        seeds, copies = next(iter(parameters.values())).shape[:2]
        # Lists of hooks are shared: whoever watches the module sees its copies at work.
        hooks = {id(held): held for each in module.modules() for name, held in vars(each).items() if "_hooks" in name}
        self._rows = [[copy.deepcopy(module, dict(hooks)) for _ in range(copies)] for _ in range(seeds)]
        slots = {path: [_slot(member, path) for row in self._rows for member in row] for path in self._tensors}
        for path, value in self._tensors.items():
            for (held, name), (s, c) in zip(slots[path], product(range(seeds), range(copies)), strict=True):
                held[name] = value.detach()[s, c]
        self._learned = [(value, slots[path]) for path, value in parameters.items() if value.requires_grad]

    def is_of(self, module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> bool:
        """Whether it was made of these objects, and their memory has not moved."""
        same = all(a is b for a, b in zip(self._made_of, (module, parameters, buffers), strict=True))
        return same and self._addresses == [value.data_ptr() for value in self._tensors.values()]

    def rows(self) -> Sequence[Sequence[nn.Module]]:
        """The modules, S of C, for one call each: gradients of their outputs reach the stack."""
        # Without gradients the tensors stay valid: they share memory. A view with a history serves one call.
        if torch.is_grad_enabled():
            for value, slots in self._learned:
                for (held, name), part in zip(slots, _parts(value), strict=True):
                    held[name] = part
        return self._rows


def _parts(value: Tensor) -> Sequence[Tensor]:
    """``[S, C, ...]`` as S times C tensors. Their gradients come back as a view or a stack: of indices, as sums."""
    return (value.view(value.shape[2:]),) if value.shape[:2] == (1, 1) else value.flatten(0, 1).unbind()


def _slot(module: nn.Module, path: str) -> tuple[dict[str, Any], str]:
    """Where a module keeps the tensor of a path."""
    holder, _, name = path.rpartition(".")
    owner = module.get_submodule(holder)
    return owner._parameters if name in owner._parameters else owner._buffers, name
