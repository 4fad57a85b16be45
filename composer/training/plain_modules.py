"""``composer.build``: plain torch modules from specs, with the first values that a run would draw.

Tests: tests/api/test_build.py holds them to a learner's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, overload

import torch
from torch import nn

from composer.blueprint import Blueprint
from composer.blueprint.load import ensure_checked
from composer.networks.blocks import Block
from composer.networks.heads import Head
from composer.networks.initialize import draw, draw_buffers
from composer.networks.network import Network
from composer.networks.outline import Outline
from composer.spec.random_streams import derive


@overload
def build(subject: Blueprint, *, seed: int | None = None) -> dict[str, nn.Module]: ...


@overload
def build(subject: Block, shape: Sequence[int], *, seed: int | None = None) -> nn.Module: ...


@overload
def build(subject: Head | Network, shape: Sequence[int], actions: int, *, seed: int | None = None) -> nn.Module: ...


def build(subject: Any, shape: Sequence[int] = (), actions: int = 0, *, seed: int | None = None) -> Any:
    """Plain modules on the CPU, in training mode, filled with the declared initialisers.

    Of a blueprint, its networks by role: those that a run of ``seed`` (its first seed) starts with, to the last bit. Of
    a network, a head or a block, one on samples of ``shape``; a head takes the number of ``actions`` besides, and
    ``seed`` is 0 where none is given. Where there are copies, they are a ``ModuleList``.

    Raises BlueprintError for a blueprint that does not make sense, ShapeError for a shape that cannot be taken.
    """
    if isinstance(subject, Blueprint):
        return _networks(ensure_checked(subject, is_to_run=False), subject.seeds[0] if seed is None else seed)
    if not isinstance(subject, Block | Head | Network):
        raise TypeError(f"expected a blueprint, a network, a head or a block, got {type(subject).__name__}")
    rest = (tuple(shape),) if isinstance(subject, Block) else (tuple(shape), actions)
    stream = partial(derive, 0 if seed is None else seed, "init")
    make, outline = partial(subject.build, *rest), subject.outline(*rest)
    return (
        _copies(make, outline, subject.copies, stream) if isinstance(subject, Network) else _one(make, outline, stream)
    )


def _networks(blueprint: Blueprint, seed: int) -> dict[str, nn.Module]:
    modules, actions = {}, blueprint.environment.info.action_size
    for role, outline in blueprint.agent.sound_outlines.items():
        network = blueprint.networks[role]
        make = partial(network.build, outline.input, actions)
        # The stream under which composer.networks.stacked draws a learner's weights.
        modules[role] = _copies(make, outline, network.copies, partial(derive, seed, "init", role))
    return modules


def _copies(make: Callable[[], nn.Module], outline: Outline, copies: int, stream: Callable[..., int]) -> nn.Module:
    modules = [_one(make, outline, partial(stream, copy)) for copy in range(copies)]
    return modules[0] if copies == 1 else nn.ModuleList(modules)


def _one(make: Callable[[], nn.Module], outline: Outline, stream: Callable[..., int]) -> nn.Module:
    with torch.device("meta"):
        module = make()
    module.load_state_dict(draw(outline, stream) | draw_buffers(outline, stream), assign=True)
    return module
