"""The axis of members: every learnable tensor is stacked ``[seeds, copies, ...]``, and one module describes them all.

A block is written for one network. Here a template module on the meta device is called with stacked parameters through
``torch.func``: mapped over copies (which share an input) and seeds (which do not), directly where there is one.
Legend: S seeds, C copies, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from composer.fresh import draw
from composer.shapes import Outline
from composer.streams import derive


class Stacked:
    """A network of S seeds × C copies: a template and its parameters ``[S, C, ...]`` by path."""

    def __init__(self, template: nn.Module, parameters: Mapping[str, Tensor]) -> None:
        """``template`` only lends its ``forward``; its own parameters are never read."""
        self.template, self.parameters = template, dict(parameters)
        first = next(iter(self.parameters.values()))
        self.seeds, self.copies = first.shape[:2]

    def __call__(self, x: Tensor) -> Any:
        """Input ``[S, B, ...]`` to outputs ``[S, C, B, ...]``, a tensor or a tuple of them as the head returns."""
        seeds, copies = self.seeds, self.copies
        if seeds == copies == 1:
            return _each(lambda out: out[None, None], self._one(self._squeezed(2), x[0]))
        if seeds == 1:
            return _each(lambda out: out[None], vmap(self._one, (0, None))(self._squeezed(1), x[0]))
        if copies == 1:
            squeezed = {path: p.view(seeds, *p.shape[2:]) for path, p in self.parameters.items()}
            return _each(lambda out: out[:, None], vmap(self._one)(squeezed, x))
        return vmap(vmap(self._one, (0, None)))(self.parameters, x)

    def _one(self, parameters: dict[str, Tensor], x: Tensor) -> Any:
        return functional_call(self.template, parameters, (x,))

    def _squeezed(self, axes: int) -> dict[str, Tensor]:
        # A view and not an index: its backward is a view too, where an index would scatter into zeros.
        return {path: p.view(p.shape[axes:]) for path, p in self.parameters.items()}


def _each(change: Callable[[Tensor], Tensor], output: Any) -> Any:
    return tuple(change(item) for item in output) if isinstance(output, tuple) else change(output)


def fresh_stack(
    outline: Outline, seeds: Sequence[int], copies: int, *stream: str | int, device: str = "cpu"
) -> dict[str, Tensor]:
    """Fresh parameters ``[S, C, ...]`` by path; trainable ones require gradients.

    Each is drawn under ``derive(seed, *stream, copy, path)``, so that a seed's weights do not depend on its neighbours.
    """
    drawn = [
        [draw(outline, lambda path, s=seed, c=copy: derive(s, *stream, c, path)) for copy in range(copies)]  # type: ignore[misc]
        for seed in seeds
    ]
    stack = {}
    for path, plan in outline.named_parameters():
        value = torch.stack([torch.stack([member[path] for member in row]) for row in drawn]).to(device)
        stack[path] = value.requires_grad_(plan.trainable)
    return stack


def per_seed(value: Tensor, like: Tensor) -> Tensor:
    """``value [S]`` shaped to broadcast against ``like [S, ...]``."""
    return value.view(-1, *[1] * (like.ndim - 1))
