"""Brings every kind that ships with composer into its family, and those of the plug-ins that a blueprint requires."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.metadata import entry_points

from composer.spec import near

GROUP = "composer.plugins"
"""Entry-point group of plug-ins: each names a module whose import registers kinds."""

# Packages import their own kinds; none of them may import torch or a simulator on the way.
_ROOMS = (
    "composer.initializers",
    "composer.schedules",
    "composer.normalization",
    "composer.blocks",
    "composer.heads",
    "composer.networks",
    "composer.interventions",
    "composer.optim",
    "composer.environments",
    "composer.algorithms",
    "composer.tracking",
)


class MissingPluginError(LookupError):
    """A blueprint requires a plug-in that is not installed."""


def register() -> None:
    """Import every room of composer that registers kinds."""
    for room in _ROOMS:
        importlib.import_module(room)


def require(names: Iterable[str]) -> None:
    """Import the plug-ins of the distributions ``names``; MissingPluginError names the first that is absent."""
    wanted = list(names)
    if not wanted:
        return
    installed = {entry.dist.name: entry for entry in entry_points(group=GROUP) if entry.dist}
    for name in wanted:
        if name not in installed:
            meant = near(name, installed)
            hint = f"; did you mean {meant!r}?" if meant else ""
            raise MissingPluginError(f"requires the plug-in {name!r}, which is not installed{hint}")
        installed[name].load()
