"""Transitions as updates draw them. Legend: S seeds, B batch, d observation, a action."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Transitions(NamedTuple):
    """A sampled batch, raw."""

    observation: Tensor
    """``[S, B, d]``"""
    action: Tensor
    """``[S, B, a]``"""
    reward: Tensor
    """``[S, B]``, discounted over the window"""
    bootstrap: Tensor
    """``[S, B]``: discount to the window's length, 0 where the window ends in a termination"""
    next_observation: Tensor
    """``[S, B, d]``, at the end of the window"""
