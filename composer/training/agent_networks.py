"""What a learner begins with: the networks of a blueprint with their first weights, and averages of them.

Tests: tests/training/test_learner.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from composer.algorithms.base import Roles
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack

if TYPE_CHECKING:
    from composer.algorithms.losses.returns import Returns
    from composer.blueprint.schema import Blueprint
    from composer.environments.interface import EnvironmentInfo


def networks_of(blueprint: Blueprint, info: EnvironmentInfo, device: str) -> dict[str, tuple[Outline, Stacked]]:
    """By role: the outline of one copy, and all copies of all seeds, drawn from the streams ``init``."""
    found, actions = {}, info.action_size
    for role, shape in blueprint.algorithm.network_inputs(info).items():
        spec = blueprint.networks[role]
        outline = spec.outline(shape, actions)
        template = Template(partial(spec.build, shape, actions))
        parameters = fresh_stack(outline, blueprint.seeds, spec.copies, "init", role, device=device)
        buffers = fresh_buffers(outline, blueprint.seeds, spec.copies, "init", role, device=device)
        autocast = torch.bfloat16 if blueprint.compute.precision == "bf16" else None
        found[role] = outline, Stacked(template, parameters, buffers, autocast)
    return found


def average_of(
    blueprint: Blueprint, name: str, networks: Mapping[str, tuple[Outline, Stacked]], device: str
) -> Stacked:
    """A copy of the network that an average is of; its random streams are its own."""
    outline, network = networks[blueprint.averages[name].of]
    buffers = fresh_buffers(outline, blueprint.seeds, network.copies, "average", name, device=device)
    parameters = {path: value.detach().clone() for path, value in network.parameters.items()}
    return Stacked(network.template, parameters, buffers, network.autocast)


def returns_of(blueprint: Blueprint, roles: Mapping[str, Any], device: str) -> dict[str, Returns[Any]]:
    """How to read values from a network's output, of the roles whose head gives values."""
    calls = {role: blueprint.networks[role].head.returns() for role in roles}
    with torch.device(device):
        return {role: call.make() for role, call in calls.items() if call}


def stood_in(roles: Roles, acting: Mapping[str, str]) -> Roles:
    """``roles`` with averages in the place of the networks that they act for, by role."""
    return replace(roles, networks={**roles.networks, **{role: roles.averages[name] for role, name in acting.items()}})
