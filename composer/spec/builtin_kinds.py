"""Brings every kind that ships with composer into its family; those of plug-ins come by ``composer.plugins``."""

from __future__ import annotations

import importlib

# Packages import their own kinds; none of them may import torch or a simulator on the way.
_ROOMS = (
    "composer.networks.initializers",
    "composer.optim.schedules",
    "composer.algorithms.normalization.spec",
    "composer.replay.sampling",
    "composer.networks.blocks",
    "composer.networks.heads",
    "composer.networks.network",
    "composer.interventions",
    "composer.optim.penalties",
    "composer.optim",
    "composer.environments.labelled.datasets",
    "composer.environments",
    "composer.algorithms",
    "composer.tracking",
    "composer.diagnostics",
)


def register() -> None:
    """Import every room of composer that registers kinds."""
    for room in _ROOMS:
        importlib.import_module(room)
