"""Plain torch modules with the weights that a run would draw: what ``composer.build`` returns.

Tests: tests/api/test_build.py compares them with a learner's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from composer.networks.blocks import Block
from composer.networks.initialize import draw, draw_buffers
from composer.networks.network import Network
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration
    from composer.networks.heads import Head
    from composer.networks.outline import Outline


def modules_of(agent: AgentDeclaration, seed: int) -> dict[str, nn.Module]:
    """The networks of an agent by role, with the weights that ``seed`` starts with."""
    modules = {}
    for role, outline in agent.sound_outlines.items():
        network = agent.networks[role]
        make = partial(network.build, outline.input, agent.info.action_size)
        # The stream under which composer.networks.stacked draws a learner's weights.
        modules[role] = _copies(make, outline, network.copies, partial(derive, seed, "init", role))
    return modules


def module_of(spec: Block | Head | Network, shape: Sequence[int], actions: int, seed: int) -> nn.Module:
    """One module on samples of ``shape``; heads and networks take the number of ``actions`` too."""
    inputs = (tuple(shape),) if isinstance(spec, Block) else (tuple(shape), actions)
    make: Callable[[], nn.Module] = partial(spec.build, *inputs)
    outline, stream = spec.outline(*inputs), partial(derive, seed, "init")
    return _copies(make, outline, spec.copies, stream) if isinstance(spec, Network) else _one(make, outline, stream)


def _copies(make: Callable[[], nn.Module], outline: Outline, copies: int, stream: Callable[..., int]) -> nn.Module:
    modules = [_one(make, outline, partial(stream, copy)) for copy in range(copies)]
    return modules[0] if copies == 1 else nn.ModuleList(modules)


def _one(make: Callable[[], nn.Module], outline: Outline, stream: Callable[..., int]) -> nn.Module:
    with torch.device("meta"):
        module = make()
    module.load_state_dict(draw(outline, stream) | draw_buffers(outline, stream), assign=True)
    return module
