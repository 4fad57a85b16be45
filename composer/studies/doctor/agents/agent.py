"""An agent of another library: its networks by role, how it acts, and what its critic reads.

Legend: B batch. Tests: tests/studies/doctor/test_agent_files.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from composer.networks.stacked import Stacked
from composer.spec.shape import Shape
from composer.studies.doctor.agents.networks import AgentNetwork

ONE, ZERO = torch.ones(1), torch.zeros(1)


@dataclass(frozen=True)
class Agent:
    """Networks by the roles that composer gives them: ``actor``, ``critic``, ``value``, ``encoder``."""

    library: str
    algorithm: str
    observation: Shape
    """Of one observation as the networks read it: a vector, or a picture with channels first."""
    actions: int
    networks: Mapping[str, AgentNetwork]
    is_discrete: bool
    env_steps: int | None = None
    """Environment steps that it was trained for, where the file says so."""
    action_scale: Tensor = field(default_factory=lambda: ONE)
    action_bias: Tensor = field(default_factory=lambda: ZERO)
    """From actions in [-1, 1] to those that the critic reads."""
    assumed: tuple[str, ...] = ()
    """What the file does not say."""

    @property
    def title(self) -> str:
        """Library and algorithm."""
        return f"{self.algorithm} of {self.library}"

    @property
    def reads_actions(self) -> bool:
        """Whether its critic reads actions beside observations."""
        return "critic" in self.networks and not self.is_discrete and self._critic_input > self._features

    @property
    def _critic_input(self) -> int:
        shape = self.networks["critic"].input
        return shape[0] if len(shape) == 1 else 0

    @property
    def _features(self) -> int:
        if "encoder" in self.networks:
            return self.networks["encoder"].outline.output[0]
        return self.observation[0]

    def acting(self) -> tuple[str, Stacked]:
        """The role that chooses actions, with its network."""
        role = "actor" if "actor" in self.networks else "value"
        return role, self.networks[role].stacked()

    def inputs(self, observation: Tensor, action: Tensor | None = None) -> dict[str, Tensor]:
        """What each network reads, ``[1, B, ...]``, for observations ``[B, ...]``.

        A critic of actions reads ``action [B, a]``, as the library stores it, or else the policy's own without noise.
        """
        seen = observation[None]
        found = dict.fromkeys(self.networks, seen)
        if self.reads_actions:
            if action is None:
                role, network = self.acting()
                action = mean_action(self.networks[role].declared.head.produces, network(seen))[0]
                action = action * self.action_scale + self.action_bias
            features = self.networks["encoder"].stacked()(seen)[0, 0] if "encoder" in self.networks else observation
            found["critic"] = torch.cat([features, action], -1)[None].detach()
        return found


def mean_action(produces: str, output: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """The action without noise ``[S, B, a]`` from an actor's output ``[S, C, B, ...]``, in [-1, 1]."""
    if produces == "deterministic_action":
        assert isinstance(output, Tensor)
        return output[:, 0]
    mean = output[0][:, 0]
    return mean.tanh() if produces == "tanh_gaussian" else mean


def explored(produces: str, output: Tensor | tuple[Tensor, Tensor], noise: torch.Generator) -> Tensor:
    """Actions ``[B, a]`` of one seed as the policy draws them; one-hot, or numbers that may leave [-1, 1].

    Values and deterministic policies are greedy.
    """
    if isinstance(output, tuple):
        mean, log_std = output[0][0, 0], output[1][0, 0]
        drawn = mean + log_std.exp() * torch.randn(mean.shape, generator=noise)
        return drawn.tanh() if produces == "tanh_gaussian" else drawn
    first = output[0, 0]
    if produces == "deterministic_action":
        return first
    if produces == "action_logits":
        index = torch.multinomial(first.softmax(-1), 1, generator=noise)[:, 0]
    else:
        index = first.argmax(-1)
    return torch.nn.functional.one_hot(index, first.shape[-1]).float()
