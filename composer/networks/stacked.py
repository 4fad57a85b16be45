"""Stacked networks: all tensors have the axes ``[seeds, copies, ...]``, and one module describes every member.

A block is written for one network. Here template modules on the meta device are called with stacked tensors: one member
after the other where there are few or they convolve; else, and in compiled programs for a GPU, through ``torch.func``,
mapped over copies (which share an input) and seeds (which do not).
Legend: S seeds, C copies, B batch. Tests: tests/networks/test_eager_equals_mapped.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from composer.networks.initialize import draw, draw_buffers
from composer.networks.outline import Outline
from composer.networks.sequences import Sequences
from composer.networks.stacked_eager import Members
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    Tensors = Mapping[str, Tensor]


FEW = 4
"""Up to as many members, calls in turn are no slower than one mapped call: docs/decisions/0015-eager-updates.md."""


class Template:
    """One module twice, in training and in evaluation mode: a captured program never sees a mode change."""

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        """``build`` makes the module; only its ``forward`` is used, never its own tensors."""
        with torch.device("meta"):
            self.training, self.evaluation = build().train(), build().eval()


class Stacked:
    """A network of S seeds × C copies: a template, parameters and buffers ``[S, C, ...]`` by path."""

    def __init__(
        self, template: Template, parameters: Tensors, buffers: Tensors, autocast: torch.dtype | None = None
    ) -> None:
        """Tensors are not copied; in training mode buffers change in place.

        ``autocast`` is the type of matrix products; outputs are float32 all the same.
        """
        self.autocast = autocast
        self.template, self.parameters, self.buffers = template, dict(parameters), dict(buffers)
        first = next(iter(self.parameters.values()))
        self.seeds, self.copies = first.shape[:2]
        self._members: list[Members] = []
        # Mapped over members a convolution becomes a grouped one, slower than as many plain ones (measured: 1.5 times).
        self._convolves = any(value.ndim == 6 for value in self.parameters.values())

    def __call__(self, x: Tensor | Sequences, training: bool = False) -> Any:
        """Input ``[S, B, ...]`` to outputs ``[S, C, B, ...]``, a tensor or a tuple of them as the head returns.

        Of ``Sequences`` it gives the output and the memory after each moment.

        ``training`` is for the loss of the network's own objective: batch statistics are taken in and noise is on.
        """
        if self.autocast is None:
            return self._call(x, training)
        with torch.autocast(next(iter(self.parameters.values())).device.type, self.autocast):
            output = self._call(x, training)
        return _each(lambda out: out.float(), output)

    @torch.no_grad()
    def on_its_batch(self, x: Tensor) -> Any:
        """A pass in training mode, without gradients, that leaves running statistics as they were."""
        statistics = [value for value in self.buffers.values() if value.is_floating_point()]
        before = [value.clone() for value in statistics]
        output = self(x, training=True)
        for value, old in zip(statistics, before, strict=True):
            value.copy_(old)
        return output

    def _call(self, x: Tensor | Sequences, training: bool) -> Any:
        module = self.template.training if training else self.template.evaluation
        # A watched module is called once, which is not worth copies of it.
        is_few = self._convolves or self.seeds * self.copies <= FEW
        if is_few and not torch.compiler.is_compiling() and not module._forward_pre_hooks:
            members, inputs = self._members_of(module).rows(x), map(self.input_of, _by_seed(x))
            return _stacked([[member(seen) for member in row] for row, seen in zip(members, inputs, strict=True)])
        return self._functional(module, x)

    def _functional(self, module: nn.Module, x: Tensor | Sequences) -> Any:
        """The call that compiles, and that maps over many members."""

        def one(tensors: dict[str, Tensor], x: Tensor | Sequences) -> Any:
            return functional_call(module, tensors, (x,))

        seeds, copies = self.seeds, self.copies
        if self._convolves or self._compiles_apart():
            inputs = [self.input_of(_seed(x, index)) for index in range(seeds)]
            return _stacked(
                [[one(each, seen) for each in row] for row, seen in zip(self._apart(), inputs, strict=True)]
            )
        if seeds == copies == 1:
            return _each(lambda out: out[None, None], one(self._viewed(lambda shape: shape[2:]), _seed(x, 0)))
        if seeds == 1:
            mapped = vmap(one, (0, None))(self._viewed(lambda shape: shape[1:]), _seed(x, 0))
            return _each(lambda out: out[None], mapped)
        if copies == 1:
            return _each(lambda out: out[:, None], vmap(one)(self._viewed(lambda shape: (seeds, *shape[2:])), x))
        return vmap(vmap(one, (0, None)))(self.tensors(), x)

    def _compiles_apart(self) -> bool:
        """Whether the program that is being compiled multiplies the matrices of each member by themselves.

        On a CPU a product of its own takes in bias and activation, and may go to a faster library; a GPU wants stacks.
        """
        device = next(iter(self.parameters.values())).device.type
        return torch.compiler.is_compiling() and device == "cpu" and 1 < self.seeds * self.copies <= FEW

    @property
    def memory_size(self) -> int:
        """Numbers that each copy carries from one observation of an episode to the next; 0: it has no memory."""
        size: int = getattr(getattr(self.template.training, "trunk", None), "memory_size", 0)
        return size

    def child(self, name: str) -> Stacked:
        """A child of the network, such as its trunk, over the same tensors."""
        template, prefix = copy.copy(self.template), f"{name}."
        template.training, template.evaluation = (
            module.get_submodule(name) for module in (self.template.training, self.template.evaluation)
        )
        parameters, buffers = (
            {path.removeprefix(prefix): value for path, value in held.items() if path.startswith(prefix)}
            for held in (self.parameters, self.buffers)
        )
        return Stacked(template, parameters, buffers)

    def tensors(self) -> dict[str, Tensor]:
        """Parameters, then buffers, by path, not copied."""
        return self.parameters | self.buffers

    def averaged(self) -> dict[str, Tensor]:
        """The tensors that averages of this network follow: parameters and floating-point buffers, by path."""
        return {path: value for path, value in self.tensors().items() if value.is_floating_point()}

    def _members_of(self, module: nn.Module) -> Members:
        """Kept for two modules: that of training and that of evaluation."""
        made_of = module, self.parameters, self.buffers
        for found in self._members:
            if found.is_of(*made_of):
                return found
        self._members = [*self._members[-1:], Members(*made_of)]
        return self._members[-1]

    def input_of(self, x: Any) -> Any:
        """Images ``[B, c, h, w]`` with channels last in memory, which convolutions are faster on; else ``x``."""
        if isinstance(x, Tensor) and self._convolves and x.ndim == 4:
            return x.contiguous(memory_format=torch.channels_last)
        return x

    def _apart(self) -> list[list[dict[str, Tensor]]]:
        """The tensors of each member, by seed and copy."""
        # Unbound and not indexed: the backward of one is a stack, that of the other as many sums of zeros.
        parts = {path: [each.unbind() for each in value.unbind()] for path, value in self.parameters.items()}
        return [
            [
                {path: part[s][c] for path, part in parts.items()}
                | {path: value[s, c] for path, value in self.buffers.items()}
                for c in range(self.copies)
            ]
            for s in range(self.seeds)
        ]

    def _viewed(self, shape: Callable[[torch.Size], Sequence[int]]) -> dict[str, Tensor]:
        # A view and not an index: its backward is a view too, where an index would scatter into zeros.
        return {path: value.view(shape(value.shape)) for path, value in self.tensors().items()}


def _stacked(rows: Sequence[Sequence[Any]]) -> Any:
    """Outputs by seed and copy to ``[S, C, ...]``."""
    if isinstance(rows[0][0], tuple):
        return tuple(_stacked([[out[index] for out in row] for row in rows]) for index in range(len(rows[0][0])))
    if len(rows) == len(rows[0]) == 1:
        only = rows[0][0]
        return only.view(1, 1, *only.shape)
    return torch.stack([torch.stack(list(row)) for row in rows])


def _each(change: Callable[[Tensor], Tensor], output: Any) -> Any:
    return tuple(_each(change, item) for item in output) if isinstance(output, tuple) else change(output)


def _by_seed(x: Tensor | Sequences) -> Sequence[Any]:
    """The inputs of all seeds."""
    return [_seed(x, index) for index in range(len(x.starts))] if isinstance(x, Sequences) else x.unbind()


def _seed(x: Tensor | Sequences, index: int) -> Any:
    """The input of one seed."""
    return Sequences(*(part[index] for part in x)) if isinstance(x, Sequences) else x[index]


def fresh_stack(
    outline: Outline, seeds: Sequence[int], copies: int, *stream: str | int, device: str = "cpu"
) -> dict[str, Tensor]:
    """Fresh parameters ``[S, C, ...]`` by path; trainable ones require gradients.

    Each is drawn under ``derive(seed, *stream, copy, path)``, so that a seed's weights do not depend on its neighbours.
    """
    stack = _stack(lambda seed_for: draw(outline, seed_for), seeds, copies, stream, device)
    return {path: stack[path].requires_grad_(plan.trainable) for path, plan in outline.named_parameters()}


def fresh_buffers(
    outline: Outline, seeds: Sequence[int], copies: int, *stream: str | int, device: str = "cpu"
) -> dict[str, Tensor]:
    """Buffers ``[S, C, ...]`` by path before anything has been seen; keys are drawn as parameters are."""
    return _stack(lambda seed_for: draw_buffers(outline, seed_for), seeds, copies, stream, device)


def _stack(
    drawn: Callable[[Callable[[str], int]], dict[str, Tensor]],
    seeds: Sequence[int],
    copies: int,
    stream: tuple[str | int, ...],
    device: str,
) -> dict[str, Tensor]:
    rows = [
        [drawn(lambda path, s=seed, c=copy: derive(s, *stream, c, path)) for copy in range(copies)]  # type: ignore[misc]
        for seed in seeds
    ]
    return {
        path: kernels_last(torch.stack([torch.stack([member[path] for member in row]) for row in rows]).to(device))
        for path in rows[0][0]
    }


def kernels_last(value: Tensor) -> Tensor:
    """Kernels ``[S, C, o, i, h, w]`` with i last in memory, as convolutions of such images read them; else ``value``.

    Optimizer moments and averages take the layout over; shapes and checkpoints do not depend on it.
    """
    if value.ndim != 6:
        return value
    return value.permute(0, 1, 2, 4, 5, 3).contiguous().permute(0, 1, 2, 5, 3, 4)


def per_seed(value: Tensor, like: Tensor) -> Tensor:
    """``value [S]`` shaped to broadcast against ``like [S, ...]``."""
    return value.view(-1, *[1] * (like.ndim - 1))
