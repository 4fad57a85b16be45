"""The key of the compiled program that a blueprint needs: blueprints with equal keys share one program.

Numbers of algorithms, optimizers, averages, penalties and schedules enter the update as tensors. Numbers of networks,
and whole numbers of algorithms, are part of the program. The key includes versions and the
processor, since compiled code works for these alone. Imports no torch. Tests: tests/blueprint/test_program_key.py.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from composer.blueprint.forecast.in_turn import takes_turns
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import resolved
from composer.optim.schedules import Schedule
from composer.spec.version import __version__


def structure(blueprint: Blueprint) -> dict[str, Any]:
    """The values of a blueprint that determine its compiled update, with ``number`` for numbers that may vary."""
    table, info, outside = resolved(blueprint), blueprint.environment.info, blueprint.algorithm.keys_outside_update
    algorithm = {key: value for key, value in table["algorithm"].items() if key not in outside}
    loose = {key: table[key] for key in ("averages", "optimizers", "penalties")} | {"algorithm": algorithm}
    return {
        "networks": table["networks"],
        **{key: _without_numbers(value, whole=key != "algorithm") for key, value in loose.items()},
        "normalization": table["normalization"],
        "observation": [*info.observation, info.pictures, info.largest_pixel],
        "action": [info.action_size, info.discrete],
        "seeds": len(blueprint.seeds),
        "precision": blueprint.compute.precision,
        "updates_per_call": blueprint.compute.updates_per_call,
    }


def program_key(blueprint: Blueprint, device: str) -> str:
    """A short hash of the structure, the versions and the processor."""
    machine = [platform.python_version(), platform.machine(), platform.processor()]
    one = {"seeds": 1} if takes_turns(blueprint.agent, device) else {}
    parts = [structure(blueprint) | one, device, __version__, version("torch"), *machine]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _without_numbers(value: Any, whole: bool) -> Any:
    """Replace floats by ``number``, integers too if ``whole``; of a schedule, all numbers."""
    if isinstance(value, Mapping):
        inside = whole or value.get("kind") in Schedule.kinds()
        return {key: _without_numbers(item, inside) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_numbers(item, whole) for item in value]
    is_number = isinstance(value, float) or (whole and isinstance(value, int) and not isinstance(value, bool))
    # A program leaves out what is multiplied by 0.
    return ("number" if value else 0) if is_number else value
