"""Which compiled program a blueprint needs: two with the same key share one, whatever numbers they differ in.

Numbers of algorithms, optimizers, averages, penalties and schedules enter the update as tensors; those of networks, and
whole numbers, are part of the program. The key also names versions and the kind of processor, for compiled code is of
no use to others. Free of torch. Tests: tests/blueprint/test_program_key.py.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import resolved
from composer.optim.schedules import Schedule
from composer.spec.version import __version__

_NOT_IN_THE_UPDATE = {"update_to_data", "warmup_interactions", "n_step", "discount", "evaluation_epsilon"}
"""Keys of algorithms that decide what a batch is, and when: not what is done with it."""


def structure(blueprint: Blueprint) -> dict[str, Any]:
    """What of a blueprint decides its compiled update, as plain values; numbers that may vary read ``number``."""
    table, info = resolved(blueprint), blueprint.environment.info
    algorithm = {key: value for key, value in table["algorithm"].items() if key not in _NOT_IN_THE_UPDATE}
    loose = {key: table.get(key, {}) for key in ("averages", "optimizers", "penalties")} | {"algorithm": algorithm}
    compute = table.get("compute", {})
    return {
        "networks": table["networks"],
        **{key: _without_numbers(value, whole=key != "algorithm") for key, value in loose.items()},
        "normalization": table.get("normalization", {}),
        "observation": [*info.observation, info.pictures],
        "action": [info.action_size, info.discrete],
        "seeds": len(blueprint.seeds),
        "precision": compute.get("precision", "float32"),
        "updates_per_call": compute.get("updates_per_call", 1),
    }


def program_key(blueprint: Blueprint, device: str) -> str:
    """A short hash of the structure, of versions and of the processor."""
    parts = [structure(blueprint), device, *_surroundings()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _surroundings() -> list[str]:

    try:
        torch = version("torch")
    except PackageNotFoundError:  # pragma: no cover - nothing can be compiled without it
        torch = ""
    return [__version__, torch, platform.python_version(), platform.machine(), platform.processor()]


def _without_numbers(value: Any, whole: bool) -> Any:
    """Numbers are left out, ``whole`` ones too; a schedule's kind stays, and all of its numbers go."""
    if isinstance(value, Mapping):
        inside = whole or value.get("kind") in Schedule.kinds()
        return {key: _without_numbers(item, inside) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_numbers(item, whole) for item in value]
    is_number = isinstance(value, float) or (whole and isinstance(value, int) and not isinstance(value, bool))
    # What is multiplied by nothing is left out of a program.
    return ("number" if value else 0) if is_number else value
