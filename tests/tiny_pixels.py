"""Tiny learners and runs from pixels: ``tiny_pixels.toml``, whole, in a variant or under overrides."""

from __future__ import annotations

from pathlib import Path

from tiny_rollouts import VideoRecorder as VideoRecorder
from tiny_runs import EAGER

from composer.blueprint import Blueprint, load
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

TINY = Path(__file__).with_name("tiny_pixels.toml")
BATCH, ACTIONS = 8, 2


def pixels(*overrides: str, variant: str | None = None) -> Blueprint:
    """The tiny experiment, or a variant of it."""
    return load(TINY, overrides, variant=variant).blueprint


def learner(*overrides: str, variant: str | None = None, choice: Choice = EAGER) -> Learner:
    """A fresh learner of it."""
    return Learner(pixels(*overrides, variant=variant).agent, "cpu", choice)
