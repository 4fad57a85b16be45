"""Transitions as a replay stores and returns them. Legend: S seeds, B batch, d observation, a action."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor


class Transitions(NamedTuple):
    """Sampled transitions, raw: neither observations nor rewards are normalised."""

    observation: Tensor
    """``[S, B, d]``"""
    action: Tensor
    """``[S, B, a]``"""
    reward: Tensor
    """``[S, B]``, the discounted sum over the window"""
    bootstrap: Tensor
    """``[S, B]``: discount to the power of the window's length, 0 where the window ends in a termination"""
    next_observation: Tensor
    """``[S, B, d]``, at the end of the window"""


BURST = ("burst/reward_size", "burst/terminates")
"""Names of the facts that ``Program.begin_burst`` is told of the replay, ``[S]`` each."""


class Minibatch(NamedTuple):
    """The data of one update."""

    transitions: Transitions
    extra: Mapping[str, Tensor] = MappingProxyType({})
    """Tensors that the program asks for in ``extras``, ``[S, B, ...]`` by name."""

    @property
    def begins_burst(self) -> list[Tensor]:
        """The facts of ``BURST`` where it is the first of a burst, for an agent that learns beside; else none."""
        return [self.extra[name] for name in BURST if name in self.extra]

    @property
    def in_burst(self) -> bool:
        """Whether it is for one of the program's updates in bursts."""
        return False


class BurstMinibatch(Minibatch):
    """The data of an update in a burst; its extras are the program's ``burst_extras``."""

    @property
    def in_burst(self) -> bool:
        """It is."""
        return True
