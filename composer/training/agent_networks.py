"""Networks of an agent with their first weights, and averages of them. Tests: tests/training/test_learner.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from composer.algorithms.base import AgentDeclaration
from composer.algorithms.losses.returns import Returns
from composer.algorithms.program import BuiltAgent
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.optim.averages import averaged_networks


class StatePart(NamedTuple):
    """A part of a learner's state: its tensors by name, which are loaded in place, and the prefix of their names."""

    prefix: str
    tensors: Callable[[], Mapping[str, Tensor]]


def networks_of(agent: AgentDeclaration, device: str) -> dict[str, Stacked]:
    """All copies of all seeds by role, drawn from the streams ``init``."""
    found: dict[str, Stacked] = {}
    autocast = torch.bfloat16 if agent.precision == "bf16" else None
    for role, outline in agent.sound_outlines.items():
        spec = agent.networks[role]
        template = Template(partial(spec.build, outline.input, agent.info.action_size))
        parameters = fresh_stack(outline, agent.seeds, spec.copies, "init", role, device=device)
        buffers = fresh_buffers(outline, agent.seeds, spec.copies, "init", role, device=device)
        found[role] = Stacked(template, parameters, buffers, autocast)
    return found


def scalars_of(agent: AgentDeclaration, device: str) -> dict[str, dict[str, Tensor]]:
    """Learned scalars by role, each the parameter ``value [S, 1]``."""
    return {
        role: fresh_stack(outline, agent.seeds, 1, "init", role, device=device)
        for role, outline in agent.algorithm.learned_scalars().items()
    }


def averages_of(agent: AgentDeclaration, networks: Mapping[str, Stacked], device: str) -> dict[str, Stacked]:
    """Averages by name, each a copy of the network that it follows, with random streams of its own."""
    outlines, found = agent.sound_outlines, {}
    for name, role in averaged_networks(agent.averages).items():
        network = networks[role]
        buffers = fresh_buffers(outlines[role], agent.seeds, network.copies, "average", name, device=device)
        parameters = {path: value.detach().clone() for path, value in network.parameters.items()}
        found[name] = Stacked(network.template, parameters, buffers, network.autocast)
    return found


def state_tensors_of(agent: AgentDeclaration, device: str) -> dict[str, Tensor]:
    """The algorithm's own tensors ``[S, ...]`` by name, as before the first update."""
    return {
        name: torch.full((len(agent.seeds), *each.shape), each.initial, dtype=getattr(torch, each.dtype), device=device)
        for name, each in agent.algorithm.state_tensors(agent.info).items()
    }


def returns_of(agent: AgentDeclaration, device: str) -> dict[str, Returns[Any]]:
    """How to read values from a network's output, of the roles whose head gives values."""
    calls = {role: agent.networks[role].head.returns() for role in agent.outlines}
    with torch.device(device):
        return {role: call.make() for role, call in calls.items() if call}


def with_averages(built: BuiltAgent, acting: Mapping[str, str]) -> BuiltAgent:
    """``built`` with averages in the place of the networks that they act for, by role."""
    return replace(built, networks={**built.networks, **{role: built.averages[name] for role, name in acting.items()}})
