"""A learner with interventions on ``test/drift``, without the loop around it; shared by the tests of this folder."""

from __future__ import annotations

from typing import Any

import torch
from tiny_runs import DRIFT, EAGER, tiny
from torch import Tensor

from composer.replay.transitions import Transitions
from composer.replay.vectors import VectorRing
from composer.training.assemble import make_surgery
from composer.training.compile.capture import Choice
from composer.training.learner import Learner


class Patient:
    """A learner, its surgery and what was told."""

    def __init__(self, *overrides: str, choice: Choice = EAGER) -> None:
        self.blueprint = tiny(DRIFT, "training.env_steps=100_000", "training.log_every=1", *overrides)
        self.learner = Learner(self.blueprint.agent, "cpu", choice)
        self.events: list[dict[str, Any]] = []
        self.replay = self._filled()
        self.surgery = make_surgery(
            self.blueprint,
            self.learner,
            lambda seed, event: self.events.append({"seed": seed, **event}),
            self.replay,
        )
        self.updates = 0

    def update(self, times: int = 1) -> None:
        """Learn from random transitions, each update from others, and let pass what is due."""
        for _ in range(times):
            self.updates += 1
            self.learner.update(self.transitions(self.updates))
            self.surgery.fire_planned("update", self.updates - 1, self.updates)

    def transitions(self, number: int) -> Transitions:
        """Every seed learns from the same."""
        generator = torch.Generator().manual_seed(number)
        seeds = len(self.learner.seeds)

        def draw(*shape: int) -> Tensor:
            return torch.randn(32, *shape, generator=generator).expand(seeds, 32, *shape).clone()

        return Transitions(draw(3), draw(2).tanh(), draw(), torch.full((seeds, 32), 0.9), draw(3))

    def _filled(self) -> VectorRing:
        """A memory of 32 random transitions, the same for every seed."""
        observation, action, reward, _, following = self.transitions(0)
        replay = VectorRing(len(self.learner.seeds), 32, 32, 3, 2)
        replay.add(observation, action, reward, reward > 1, reward < -1, following)
        return replay

    def state(self) -> dict[str, Tensor]:
        """Copies of every tensor."""
        return {name: value.detach().clone() for name, value in self.learner.tensors().items()}

    def addresses(self) -> dict[str, int]:
        """Where every tensor lies."""
        return {name: value.data_ptr() for name, value in self.learner.tensors().items()}


def intervention(do: str, where: str = '["*"]', when: str = "{ kind = 'at', steps = [3] }", **keys: str) -> str:
    """An override that declares the intervention ``it``."""
    more = "".join(f", {key} = '{value}'" for key, value in keys.items())
    return f"interventions.it={{ when = {when}, where = {where}, do = {do}{more} }}"
