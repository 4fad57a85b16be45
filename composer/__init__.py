"""composer: declare deep-RL agents, and the interventions on them while they learn, in one file.

Names and packages are imported when they are first used, so that ``import composer`` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer import algorithms, diagnostics, environments, interventions, optim, tracking
    from composer.algorithms.normalization import spec as normalization
    from composer.api import build, compose, load, loads, part, train
    from composer.blueprint import Blueprint, BlueprintError, dump
    from composer.environments.labelled import datasets
    from composer.networks import blocks, heads, initializers
    from composer.networks.network import Network
    from composer.optim import penalties, schedules
    from composer.replay import sampling
    from composer.studies.frame import read
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
    "loads",
    "normalization",
    "optim",
    "part",
    "penalties",
    "read",
    "sampling",
    "schedules",
    "tracking",
    "train",
]

_HOMES = {
    "Blueprint": "composer.blueprint:Blueprint",
    "BlueprintError": "composer.blueprint:BlueprintError",
    "Network": "composer.networks.network:Network",
    "Result": "composer.training.runs.results:Result",
    "blocks": "composer.networks.blocks",
    "build": "composer.api:build",
    "compose": "composer.api:compose",
    "datasets": "composer.environments.labelled.datasets",
    "dump": "composer.blueprint:dump",
    "heads": "composer.networks.heads",
    "initializers": "composer.networks.initializers",
    "load": "composer.api:load",
    "loads": "composer.api:loads",
    "normalization": "composer.algorithms.normalization.spec",
    "part": "composer.api:part",
    "penalties": "composer.optim.penalties",
    "read": "composer.studies.frame:read",
    "sampling": "composer.replay.sampling",
    "schedules": "composer.optim.schedules",
    "train": "composer.api:train",
}
"""``module:name``, or the module itself, of every name that is no package of the top level."""


if not TYPE_CHECKING:  # For a type checker, a missing name must stay an error.

    def __getattr__(name: str) -> object:
        """Import an offered name when it is first used."""
        if name not in __all__:
            raise AttributeError(f"module 'composer' has no attribute {name!r}")
        module, _, attribute = _HOMES.get(name, f"composer.{name}").partition(":")
        value = import_module(module)
        if attribute:
            value = globals()[name] = getattr(value, attribute)
        return value


def __dir__() -> list[str]:
    """The offered names, for editors and notebooks."""
    return sorted({*globals(), *__all__})
