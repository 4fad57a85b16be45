"""One function per member of a stack, over that member's own tensors: for eager calls of few members.

A functional call puts every tensor into its module and takes it out again, which takes longer than the layers of a
small network. Here a member is called through the flat function of its module, which skips the calls of the modules
inside; where there is none, or a layer has a hook, through a copy of the module that holds the member's tensors.
Legend: S seeds, C copies. Tests: tests/networks/test_eager_equals_mapped.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from composer.networks.flat_function import FlatFunction, flat_function, hooks_of
from composer.networks.sequences import Sequences


class Members:
    """The members of a stack, by seed and copy, as functions over its memory."""

    def __init__(self, module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> None:
        """Tensors ``[S, C, ...]`` by path."""
        self._made_of = module, parameters, buffers
        self._tensors = {**parameters, **buffers}
        self._addresses = [value.data_ptr() for value in self._tensors.values()]
        self._hooks = hooks_of(module)
        flat = flat_function(module)
        self._flat = None if flat is None else FlatMembers(flat, self._tensors)
        self._modules: MemberModules | None = None

    def is_of(self, module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> bool:
        """Whether it was made of these objects, and their memory has not moved."""
        of, now = self._made_of, [value.data_ptr() for value in self._tensors.values()]
        return of[0] is module and of[1] is parameters and of[2] is buffers and self._addresses == now

    def rows(self, x: Tensor | Sequences) -> Sequence[Sequence[Callable[[Any], Any]]]:
        """The members, S of C, for one call each with a part of ``x``: gradients of their outputs reach the stack."""
        # A module may treat sequences in another way than the tensor that its flat function was traced with.
        if self._flat is not None and isinstance(x, Tensor) and not any(self._hooks):
            return self._flat.rows()
        if self._modules is None:
            self._modules = MemberModules(*self._made_of)
        return self._modules.rows()


class FlatMembers:
    """Members that are called through one flat function, each with its own tensors."""

    def __init__(self, flat: FlatFunction, tensors: Mapping[str, Tensor]) -> None:
        """Tensors ``[S, C, ...]`` by path."""
        self._flat = flat
        self._values = [tensors[path] for path in flat.paths]
        seeds, self._copies = next(iter(tensors.values())).shape[:2]
        # Without gradients these parts stay valid: they share memory. A view with a history serves one call.
        constant = [_parts(value.detach()) for value in self._values]
        self._constant = [tuple(part[m] for part in constant) for m in range(seeds * self._copies)]
        self._alone = self._rows(self._constant)
        self._learned = [index for index, value in enumerate(self._values) if value.requires_grad]

    def rows(self) -> Sequence[Sequence[Callable[[Any], Any]]]:
        """The members, S of C, for one call each."""
        if not torch.is_grad_enabled():
            return self._alone
        given = [list(member) for member in self._constant]
        for index in self._learned:
            for member, part in zip(given, _parts(self._values[index]), strict=True):
                member[index] = part
        return self._rows(given)

    def _rows(self, members: Sequence[Sequence[Tensor]]) -> Sequence[Sequence[Callable[[Any], Any]]]:
        called = [partial(_call, self._flat.call, tuple(tensors)) for tensors in members]
        return [called[start : start + self._copies] for start in range(0, len(called), self._copies)]


class MemberModules:
    """Copies of a module, by seed and copy, that share the memory of a stack."""

    def __init__(self, module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> None:
        """Tensors ``[S, C, ...]`` by path."""
        tensors = {**parameters, **buffers}
        seeds, copies = next(iter(parameters.values())).shape[:2]
        # Lists of hooks are shared: whoever watches the module sees its copies at work.
        hooks = {id(held): held for held in hooks_of(module)}
        self._rows = [[copy.deepcopy(module, dict(hooks)) for _ in range(copies)] for _ in range(seeds)]
        slots = {path: [_slot(member, path) for row in self._rows for member in row] for path in tensors}
        for path, value in tensors.items():
            for (held, name), (s, c) in zip(slots[path], product(range(seeds), range(copies)), strict=True):
                held[name] = value.detach()[s, c]
        self._learned = [(value, slots[path]) for path, value in parameters.items() if value.requires_grad]

    def rows(self) -> Sequence[Sequence[nn.Module]]:
        """The modules, S of C, for one call each."""
        # Without gradients the tensors stay valid: they share memory. A view with a history serves one call.
        if torch.is_grad_enabled():
            for value, slots in self._learned:
                for (held, name), part in zip(slots, _parts(value), strict=True):
                    held[name] = part
        return self._rows


def _call(function: Callable[..., Any], tensors: tuple[Tensor, ...], x: Any) -> Any:
    return function(x, *tensors)


def _parts(value: Tensor) -> Sequence[Tensor]:
    """``[S, C, ...]`` as S times C tensors. Their gradients come back as a view or a stack: of indices, as sums."""
    return (value.view(value.shape[2:]),) if value.shape[:2] == (1, 1) else value.flatten(0, 1).unbind()


def _slot(module: nn.Module, path: str) -> tuple[dict[str, Any], str]:
    """Where a module keeps the tensor of a path."""
    holder, _, name = path.rpartition(".")
    owner = module.get_submodule(holder)
    return owner._parameters if name in owner._parameters else owner._buffers, name
