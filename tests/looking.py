"""What the tests of diagnostics share: learners of the tiny experiment, and views of them."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import TypeAdapter
from tiny_runs import DRIFT, EAGER, tiny
from torch import Tensor

from composer.diagnostics import Diagnostic
from composer.replay.transitions import Transitions
from composer.training.compile.capture import Choice
from composer.training.diagnose.view import LearnerView
from composer.training.learner import Learner

DIAGNOSTICS: TypeAdapter[Diagnostic] = TypeAdapter(Diagnostic)
TANH = 'networks.critic.trunk=[{ kind = "linear", width = 7 }, { kind = "tanh" }]'
"""A critic whose loss has curvature everywhere."""


def transitions(seeds: int, batch: int = 24, seed: int = 0) -> Transitions:
    """Raw transitions of the environment ``test/drift``."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, batch, *shape, generator=generator)

    return Transitions(draw(3), draw(2).tanh(), draw(), torch.full((seeds, batch), 0.9), draw(3))


def looked_at(
    *overrides: str, choice: Choice = EAGER, updates: int = 0, batch: int = 24
) -> tuple[Learner, LearnerView]:
    """A learner, with so many updates behind it, and a view of it."""
    blueprint = tiny(DRIFT, *overrides)
    learner = Learner(blueprint.agent, "cpu", choice)
    learner.observe(torch.randn(len(learner.seeds), 5, 3, generator=torch.Generator().manual_seed(9)))
    for step in range(updates):
        learner.update(transitions(len(learner.seeds), 32, step))
    return learner, LearnerView(blueprint.agent, learner, transitions(len(learner.seeds), batch))


def read(view: LearnerView, **table: Any) -> dict[str, Tensor]:
    """What a measure reads, the first time."""
    return DIAGNOSTICS.validate_python(table).read(view, {})
