"""The evaluated policy of one seed as a module: encoding, normaliser, networks, decoding; nothing else of the agent.

``one_seed`` cuts the agent of a seed out of a learner's stack; ``Policy`` is the same over plain modules, which can be
exported. Legend: n batch, S seeds, C copies. Tests: tests/training/export/test_export.py.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from composer.algorithms.program import BuiltAgent, Program
from composer.networks.stacked import Stacked
from composer.optim.hyperparameters import Hyperparameters
from composer.training.agent_networks import with_averages
from composer.training.export.codecs import Observation

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration
    from composer.training.learner import Learner


class OneSeed:
    """The evaluated agent of one seed of a learner, as the learner computes it: the measure of an exported policy."""

    def __init__(self, agent: AgentDeclaration, learner: Learner, seed: int) -> None:
        """``seed`` is an index."""
        self.agent, self.seed = agent, slice(seed, seed + 1)
        statistics = learner.statistics
        self.normalizer = None if statistics is None else statistics.of_seed(self.seed)
        whole = learner.built
        self.built = replace(
            whole,
            networks={role: self._cut(each) for role, each in whole.networks.items()},
            averages={name: self._cut(each) for name, each in whole.averages.items()},
            scalars={role: value[self.seed] for role, value in whole.scalars.items()},
            updates=None if whole.updates is None else whole.updates[self.seed],
            interactions=None if whole.interactions is None else whole.interactions[self.seed],
            tensors={name: value[self.seed] for name, value in whole.tensors.items()},
        )
        self.program = program_of(agent, self.built)

    @torch.no_grad()
    def act(self, seen: Tensor) -> Tensor:
        """Actions ``[n, a]`` for what the agent sees ``[n, ...]``, without the random actions of an evaluation."""
        return self.program.evaluate(self.normalised(seen)[None], None)[0]

    def normalised(self, seen: Tensor) -> Tensor:
        """As the learner normalises, float32."""
        normalised: Tensor = seen.float() if self.normalizer is None else self.normalizer(seen)
        return normalised

    def _cut(self, stacked: Stacked) -> Stacked:
        parameters, buffers = (
            {path: value.detach()[self.seed] for path, value in held.items()}
            for held in (stacked.parameters, stacked.buffers)
        )
        return Stacked(stacked.template, parameters, buffers, stacked.autocast)


def program_of(agent: AgentDeclaration, built: BuiltAgent) -> Program:
    """The program that is evaluated, over the networks of one seed."""
    numbers = Hyperparameters(1, "cpu")
    return agent.algorithm.build(with_averages(built, agent.evaluated), agent.info, numbers)


class Member(nn.Module):
    """The network of one seed, called as a stack of one: ``[1, n, ...]`` to ``[1, C, n, ...]``."""

    def __init__(self, stacked: Stacked) -> None:
        """``stacked`` has one seed; its tensors are copied."""
        super().__init__()
        self.autocast, self.copies, self.was_called = stacked.autocast, stacked.copies, False
        self.dtype, self.memory_size = torch.float32, stacked.memory_size
        self.members = nn.ModuleList(_filled(stacked, place) for place in range(stacked.copies))
        self._input_of = stacked.input_of

    @override
    def forward(self, x: Tensor, training: bool = False) -> Any:
        self.was_called = True
        with nullcontext() if self.autocast is None else torch.autocast("cpu", self.autocast):
            rows = [member(self._input_of(x[0].to(self.dtype))) for member in self.members]
        if isinstance(rows[0], tuple):
            return tuple(torch.stack(list(column))[None].to(self.dtype) for column in zip(*rows, strict=True))
        return torch.stack(rows)[None].to(self.dtype)

    def child(self, name: str) -> Member:
        """A part of the network, such as its trunk, over the same tensors."""
        part = copy.copy(self)
        part._modules = {"members": nn.ModuleList(member.get_submodule(name) for member in self.members)}
        return part


class Policy(nn.Module):
    """The whole policy: an environment's own observations to its own actions."""

    def __init__(self, one: OneSeed, encode: nn.Module, decode: nn.Module, sample: Observation) -> None:
        """``sample`` is a batch of observations: networks that it does not need are left out."""
        super().__init__()
        self.encode, self.decode, self.normalizer = encode, decode, one.normalizer
        members = {"networks": _members(one.built.networks), "averages": _members(one.built.averages)}
        self._program = program_of(one.agent, replace(one.built, **cast("Any", members)))
        with torch.no_grad():
            self(sample)
        called = {role: each for held in members.values() for role, each in held.items() if each.was_called}
        self.networks = nn.ModuleDict(called)
        self.requires_grad_(False).eval()

    @override
    def forward(self, observation: Observation) -> Tensor:
        seen = self.encode(observation)
        seen = seen.float() if self.normalizer is None else self.normalizer(seen)
        decoded: Tensor = self.decode(self._program.evaluate(seen[None], None)[0])
        return decoded

    def in_float64(self, observation: Observation) -> Tensor:
        """The same with networks computed in float64: what the rounding of float32 is measured against."""
        members = [each for each in self.modules() if isinstance(each, Member)]
        try:
            for each in members:
                each.to(torch.float64).dtype = torch.float64
            with torch.no_grad():
                exact: Tensor = self(observation)
            return exact
        finally:
            for each in members:
                each.to(torch.float32).dtype = torch.float32

    def count(self) -> int:
        """Parameters that it needs."""
        return sum(value.numel() for value in self.networks.parameters())


def _members(stacks: Mapping[str, Stacked]) -> dict[str, Member]:
    return {role: Member(stacked) for role, stacked in stacks.items()}


def _filled(stacked: Stacked, place: int) -> nn.Module:
    """The module of a copy, in evaluation mode, with tensors of its own in the memory layout of the stack."""
    module = copy.deepcopy(stacked.template.evaluation)
    for path, value in stacked.tensors().items():
        holder, _, name = path.rpartition(".")
        owner, own = module.get_submodule(holder), value[0, place].detach().clone()
        if name in owner._parameters:
            owner._parameters[name] = nn.Parameter(own, requires_grad=False)
        else:
            owner._buffers[name] = own
    return module
