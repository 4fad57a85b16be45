"""Exploration noise that is held for several decisions, and programs that explore with it.

Legend: S seeds, E environments of a seed, a action. Source: FlashSAC, arXiv:2604.04539, and its released code.
Tests: tests/papers/test_noise_repetition.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.special import ndtr
from typing_extensions import override

from composer.algorithms.program import Program
from composer.spec.shape import Shape

DRAW, LEFT = "noise", "noise_decisions_left"


class RepeatedNoise:
    """Unit-normal draws ``[S, E, a]``, each held for k decisions with a chance proportional to ``k ** -exponent``."""

    def __init__(self, exponent: Tensor, longest: int, actions: int) -> None:
        """``exponent [S]``; k is at most ``longest``."""
        lengths = torch.arange(1, longest + 1, dtype=torch.float64, device=exponent.device)
        chances = lengths ** -exponent.double()[:, None]
        self._below = (chances.cumsum(1) / chances.sum(1, keepdim=True))[:, :-1]
        """The chance of at most k decisions, ``[S, longest - 1]``."""
        self.draws: Shape = (actions + 1,)
        """Unit normals of a decision: the noise, and one that the length follows from."""
        self.memory: Mapping[str, Shape] = {DRAW: (actions,), LEFT: ()}

    def lengths(self, draw: Tensor) -> Tensor:
        """Decisions ``[S, E]`` by the inverse of the distribution function at unit normals ``[S, E]``."""
        uniform = ndtr(draw.double())[..., None]
        length: Tensor = 1.0 + (uniform >= self._below[:, None]).sum(-1).to(draw.dtype)
        return length

    def next(self, noise: Tensor, memory: Mapping[str, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The noise ``[S, E, a]`` of this decision, from fresh draws ``[S, E, a + 1]``, and what is remembered."""
        is_over = memory[LEFT] < 0.5
        held = torch.where(is_over[..., None], noise[..., :-1], memory[DRAW])
        left = torch.where(is_over, self.lengths(noise[..., -1]), memory[LEFT]) - 1.0
        return held, {DRAW: held, LEFT: left}


class RepeatsNoise(Program):
    """A program that explores by unit normals of an action, which may be held."""

    repeated: RepeatedNoise | None = None
    """What holds them; None where each decision has its own."""

    def hold_noise(self, repeated: RepeatedNoise | None) -> None:
        """Explore with held noise, or with fresh noise for None."""
        self.repeated = repeated
        self.exploration_noise = None if repeated is None else repeated.draws

    @property
    @override
    def acting_memory(self) -> Mapping[str, Shape]:
        return MappingProxyType({}) if self.repeated is None else self.repeated.memory

    @property
    @override
    def export_problem(self) -> str:
        return ""  # What is remembered is noise, of which evaluations have none.

    @override
    def act_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor], Mapping[str, Tensor]]:
        if noise is None or self.repeated is None:
            return self.act(observation, noise), {}, memory
        held, after = self.repeated.next(noise, memory)
        return self.act(observation, held), {}, after
