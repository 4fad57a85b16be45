"""A second agent beside the one that acts: it learns from the same minibatches, and takes its place at a firing.

Source: Maheshwari et al., AltNet, arXiv:2512.01034, and the authors' code. Legend: S seeds.
Tests: tests/interventions/test_alternate.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.interventions.base import Intervention
from composer.networks.stacked import fresh_stack, per_seed
from composer.replay.transitions import Minibatch
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.profiling import timed

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration

SHARED = ("normalization/", "updates", "signals")
"""State that belongs to the run and not to one of its two agents: how it begins."""


class Twin:
    """The passive agent of a run."""

    def __init__(self, name: str, each: Intervention, agent: AgentDeclaration, learner: Learner) -> None:
        """``learner`` is the active agent; the intervention ``name`` exchanges the two."""
        self.name, self._agent, self._learner = name, agent, learner
        self._has_own_averages = each.target == "own"
        self._passive = Learner(agent, learner.device, learner.choice)
        # One agent's statistics are the other's: both read what one of them has seen, and one of them moves them.
        self._passive.statistics, self._passive.rewards = learner.statistics, learner.rewards
        self._passive.moves_statistics = False
        everyone = torch.ones(len(learner.seeds), dtype=torch.bool)
        self._renew(torch.zeros(len(learner.seeds), dtype=torch.int64), everyone, "twin")

    def tensors(self) -> Iterator[tuple[str, str, Tensor]]:
        """The passive agent: the intervention's name, the tensor's, the tensor itself."""
        for name, value in self._passive.tensors().items():
            if not name.startswith("normalization/"):
                yield self.name, f"twin/{name}", value.detach()

    @timed("twin: gradient updates")
    def learn(self, batches: Sequence[Minibatch]) -> None:
        """The updates that the active agent has just made, with the same minibatches and noise."""
        active, passive = self._learner, self._passive
        if passive.choice != active.choice:
            passive.recapture(active.choice)
        passive.interactions.copy_(active.interactions)
        if facts := batches[0].begins_burst:
            with torch.no_grad():
                passive.program.begin_burst(*facts)
        passive.learn_with_noise(active.noise, batches)

    def exchange(self, fired: Tensor, seeds: Tensor) -> dict[str, Any]:
        """Let the passive agent act for the ``seeds`` of a mask, and let the one that acted begin anew as passive.

        ``fired [S]`` counts earlier firings. Returns which of the two acts from now on, by seed.
        """
        theirs = self._passive.tensors()
        for name, mine in _own(self._learner.tensors()).items():
            before, mask = mine.detach().clone(), per_seed(seeds.to(mine.device), mine)
            mine.detach().copy_(torch.where(mask, theirs[name].detach(), before))
        self._renew(fired, seeds, "network")
        return {"active": [(int(count) + int(fires)) % 2 for count, fires in zip(fired, seeds, strict=True)]}

    @torch.no_grad()
    def _renew(self, fired: Tensor, seeds: Tensor, stream: str) -> None:
        """Let the passive agent begin anew for the seeds of a mask: networks, averages, scalars, optimizers."""
        fresh = Learner(self._agent, self._learner.device, Choice(False, "it is only drawn"))
        for role, network in fresh.networks.items():
            self._draw(network.parameters, fired, role, stream)
        for name, (role, average) in fresh.averaged_roles().items():
            if self._has_own_averages:
                self._draw(average.parameters, fired, role, f"{stream}/{name}")
            else:
                for path, value in average.parameters.items():
                    value.copy_(fresh.networks[role].parameters[path])
        passive = self._passive.tensors()
        for name, value in _own(fresh.tensors()).items():
            mask = per_seed(seeds.to(value.device), value)
            passive[name].detach().copy_(torch.where(mask, value.detach(), passive[name].detach()))

    def _draw(self, parameters: Mapping[str, Tensor], fired: Tensor, role: str, stream: str) -> None:
        """Fresh weights of one network in place, of each seed by its count of firings."""
        outline, device = self._learner.outlines[role], self._learner.device
        for index, (seed, count) in enumerate(zip(self._learner.seeds, fired.tolist(), strict=True)):
            copies = next(iter(parameters.values())).shape[1]
            names = ("intervention", self.name, count, stream, role)
            for path, value in fresh_stack(outline, [seed], copies, *names, device=device).items():
                parameters[path].detach()[index].copy_(value.detach()[0])


def _own(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if not name.startswith(SHARED)}
