"""Networks without a learner, on given inputs, as measures read them. Reading changes nothing of them.

There is no loss: measures of gradients and curvature cannot be read. Legend: S seeds (one), C copies, B batch, U units,
F features. Tests: tests/studies/doctor/test_agent_doctor.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.interventions.base import Growth
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.spec.lazy_call import LazyCall
from composer.studies.doctor.agents.agent import Agent
from composer.training.diagnose.view import watched
from composer.training.surgery.injection import Injector


class AgentView:
    """An agent's networks on a batch: ``composer.diagnostics.interface.View``."""

    seeds: tuple[int, ...] = (0,)

    def __init__(self, agent: Agent, observation: Tensor, action: Tensor | None) -> None:
        """``observation [B, ...]`` as the networks read it."""
        self._agent = agent
        self.networks = {role: network.stacked() for role, network in agent.networks.items()}
        self._outlines = {role: network.outline for role, network in agent.networks.items()}
        self.observation, self.samples = observation[None], len(observation)
        self.updates = torch.zeros(1, dtype=torch.float64)
        with torch.no_grad():
            self._inputs = agent.inputs(observation, action)

    def act(self, observation: Tensor) -> Tensor:
        """The output of the network that acts: values, logits, or mean actions."""
        output = self._agent.acting()[1](observation)
        chosen: Tensor = output[0] if isinstance(output, tuple) else output
        return chosen[:, 0].detach()

    def input(self, role: str) -> Tensor:
        """What a network reads, ``[1, B, ...]``."""
        return self._inputs[role]

    def outline(self, role: str) -> Outline:
        """One copy of a network."""
        return self._outlines[role]

    def first_outline(self, role: str) -> Outline:
        """One copy of a network as its library declares it."""
        return self._outlines[role]

    def parameters(self, role: str) -> dict[str, Tensor]:
        """Trainable parameters by path."""
        return {path: value for path, value in self.networks[role].parameters.items() if value.requires_grad}

    def initial(self, role: str) -> dict[str, Tensor]:
        """Other first values, drawn as the library draws them: those of the agent are not known."""
        return {path: value.detach() for path, value in self.first(role).parameters.items()}

    def network(self, role: str) -> Stacked:
        """The network itself."""
        return self.networks[role]

    def first(self, role: str, number: int = 0) -> Stacked:
        """A network drawn anew, as the library draws it; each ``number`` is another draw."""
        outline, copies = self.first_outline(role), self.networks[role].copies
        stream = ("init", number, role)
        return Stacked(
            Template(self.call(role).make),
            fresh_stack(outline, self.seeds, copies, *stream),
            fresh_buffers(outline, self.seeds, copies, *stream),
        )

    def untrained(self, number: int = 0) -> AgentView:
        """The agent with networks drawn anew, on the same inputs."""
        found = copy.copy(self)
        found.networks = {role: self.first(role, number) for role in self.networks}
        return found

    @torch.no_grad()
    def features(self, role: str, following: bool = False) -> Tensor:
        """What enters the network's head, ``[1, C, B, F]``."""
        return watched(self.networks[role], None, self.input(role))[0]

    @torch.no_grad()
    def units(self, role: str) -> dict[str, Tensor]:
        """Summaries of units ``[1, C, 3, U]`` by path of their activation."""
        return watched(self.networks[role], self.outline(role), self.input(role))[1]

    def loss(self, role: str, sample: int | None = None) -> Tensor:
        """None is known."""
        raise NotImplementedError("an agent's file holds no loss")

    def gradients(self, role: str) -> dict[str, Tensor]:
        """None without a loss."""
        raise NotImplementedError("an agent's file holds no loss")

    def hessian(self, role: str) -> Callable[[list[Tensor]], list[Tensor]]:
        """None without a loss."""
        raise NotImplementedError("an agent's file holds no loss")

    def direction(self, role: str) -> list[Tensor]:
        """None without a loss."""
        raise NotImplementedError("an agent's file holds no loss")

    def twice_differentiable(self) -> AbstractContextManager[None]:
        """Nothing to do without a loss."""
        return nullcontext()

    def call(self, role: str) -> LazyCall:
        """How one copy of a network is built."""
        network = self._agent.networks[role]
        return network.declared.module(network.input, network.actions)

    def injected(self, role: str, chosen: tuple[str, ...], number: int) -> tuple[Stacked, Outline]:
        """The network with fresh terms that cancel, the draw of this number, and its outline."""
        network, growth = self.networks[role], Growth(has_twin=True, freezes_original=True)
        parameters = {path: value.detach().clone().requires_grad_() for path, value in network.parameters.items()}
        held = OneNetwork({role: Stacked(network.template, parameters, network.buffers)}, {role: self.outline(role)})
        injector = Injector(held, f"doctor-{number}", growth, role, chosen, self.call(role), per_seed=False)
        injector.inject(torch.ones(1, dtype=torch.int64))
        return held.networks[role], held.outlines[role]


@dataclass
class OneNetwork:
    """A network that is injected: what an ``Injector`` needs of a learner."""

    networks: dict[str, Stacked]
    outlines: dict[str, Outline]
    seeds: tuple[int, ...] = (0,)
    device: str = "cpu"

    def averaged_roles(self) -> Mapping[str, tuple[str, Stacked]]:
        """No averages."""
        return {}

    def restructure(
        self,
        role: str,
        template: Template,
        outline: Outline,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        frozen: Mapping[str, Tensor],
    ) -> None:
        """Replace a network."""
        self.networks[role], self.outlines[role] = Stacked(template, parameters, buffers), outline
