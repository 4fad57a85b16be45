"""Blueprints to and from configs of OmegaConf, for programs that have such configs: Hydra's applications.

Reading a blueprint does not import OmegaConf. Tests: tests/api/test_omegaconf.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from composer.blueprint.syntax.nodes import show_path
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError, Problem
from composer.spec.family import Spec, plain_value
from composer.spec.wording import describe

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONFIG = "config"
"""The file in problems of a table or a config."""
MISSING = "???"
"""A mandatory value that a config of OmegaConf lacks."""


def to_config(blueprint: Spec) -> DictConfig:
    """The resolved blueprint as a read-only config, without interpolations."""
    from omegaconf import OmegaConf

    config: DictConfig = OmegaConf.create(plain_value(blueprint))
    OmegaConf.set_readonly(config, True)
    return config


def to_table(values: Mapping[str, Any]) -> dict[str, Any]:
    """A table of plain values; a config is resolved. Raises BlueprintError for what is missing or does not resolve."""
    omegaconf = sys.modules.get("omegaconf")  # Who has a config has imported it.
    if omegaconf is not None and omegaconf.OmegaConf.is_config(values):
        values = _resolved(values, omegaconf)
    if not isinstance(values, Mapping):
        raise BlueprintError([Problem(CONFIG, 1, 1, "", f"expected table, got {describe(values)}")])
    table: dict[str, Any] = plain_value(values)
    missing = [*_missing(table, ())]
    if missing:
        message = f"is missing ({MISSING}): give it a value"
        raise BlueprintError(Problem(CONFIG, 1, 1, show_path(path), message) for path in missing)
    return table


def _resolved(config: Any, omegaconf: Any) -> Any:
    """The plain values of a config; enumerations by name."""
    try:
        found = omegaconf.OmegaConf.to_container(config, resolve=True, enum_to_str=True)
        # References to them are replaced already, and nothing else may refer to them.
        return {key: value for key, value in found.items() if key != "values"} if isinstance(found, dict) else found
    except omegaconf.errors.OmegaConfBaseException as error:
        path, message = str(error.full_key or ""), str(error.msg or error).splitlines()[0]
        raise BlueprintError([Problem(CONFIG, 1, 1, path, message)]) from error


def _missing(value: object, path: Path) -> Iterator[Path]:
    if value == MISSING:
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _missing(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _missing(item, (*path, index))
