"""composer: deep-RL agents, and what is done to them while they learn, declared in one file.

Names and rooms are imported when they are first used, so that ``import composer`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer import algorithms, diagnostics, environments, interventions, optim, tracking
    from composer.algorithms.normalization import spec as normalization
    from composer.api import compose, load, part, train
    from composer.blueprint import Blueprint, BlueprintError, dump
    from composer.environments.labelled import datasets
    from composer.networks import blocks, heads, initializers
    from composer.networks.network import Network
    from composer.optim import penalties, schedules
    from composer.replay import sampling
    from composer.training.plain_modules import build
    from composer.training.runs.results import Result

__all__ = [
    "Blueprint",
    "BlueprintError",
    "Network",
    "Result",
    "algorithms",
    "blocks",
    "build",
    "compose",
    "datasets",
    "diagnostics",
    "dump",
    "environments",
    "heads",
    "initializers",
    "interventions",
    "load",
    "normalization",
    "optim",
    "part",
    "penalties",
    "sampling",
    "schedules",
    "tracking",
    "train",
]

_HOMES = {
    "composer.api": ("compose", "load", "part", "train"),
    "composer.blueprint": ("Blueprint", "BlueprintError", "dump"),
    "composer.networks.network": ("Network",),
    "composer.training.plain_modules": ("build",),
    "composer.training.runs.results": ("Result",),
}
_ROOMS = {
    "blocks": "composer.networks.blocks",
    "datasets": "composer.environments.labelled.datasets",
    "heads": "composer.networks.heads",
    "initializers": "composer.networks.initializers",
    "normalization": "composer.algorithms.normalization.spec",
    "penalties": "composer.optim.penalties",
    "sampling": "composer.replay.sampling",
    "schedules": "composer.optim.schedules",
}
"""Packages of kinds that are offered at the top, as ``torch.nn`` is."""


if not TYPE_CHECKING:  # To a type checker, a name that is not there is an error.

    def __getattr__(name: str) -> object:
        """The name from its module, or the room of that name."""
        for home, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(home), name)
                return value
        if name in __all__:
            return import_module(_ROOMS.get(name, f"composer.{name}"))
        raise AttributeError(f"module 'composer' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is offered, for editors and notebooks."""
    return sorted({*globals(), *__all__})
