"""Exploration noise that is held for several decisions. The spec; the program's part is in ``losses``.

Tests: tests/papers/test_noise_repetition.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from composer.spec.family import Spec

if TYPE_CHECKING:
    from composer.algorithms.losses.noise_repetition import RepeatedNoise
    from composer.optim.hyperparameters import Hyperparameters

KEY = "noise_repetition"


class NoiseRepetition(Spec):
    """The unit-normal draw of exploration is held for several decisions.

    For k of them, from 1 to ``longest``, with a chance proportional to ``k ** -exponent``. Mean and deviation of the
    policy follow each observation. Each environment holds its own draw, and draws anew where an episode begins.
    Source: FlashSAC, arXiv:2604.04539.
    """

    exponent: Annotated[float, Field(ge=0, le=100)] = 2.0
    """How fast chances fall with the length; 0 makes all lengths as likely."""
    longest: Annotated[int, Field(ge=1, le=10_000)] = 16
    """The longest time, in decisions."""

    def build(self, hyperparameters: Hyperparameters, actions: int) -> RepeatedNoise:
        """The draws of ``actions`` entries, held."""
        from composer.algorithms.losses.noise_repetition import RepeatedNoise

        return RepeatedNoise(hyperparameters.number(self.exponent), self.longest, actions)
