"""Blueprints go to configs of OmegaConf and come back equal; what anybody's config lacks is told by its path."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import omegaconf
import pytest
from omegaconf import DictConfig, OmegaConf, ReadonlyConfigError

import composer
from composer.blueprint import BlueprintError, digest
from composer.blueprint.serialize import resolved
from composer.spec.package_files import blueprint_files

TINY = Path(__file__).parents[1] / "tiny.toml"


# OmegaConf 2.4 has another name for it.
register = getattr(OmegaConf, "register_resolver" if "2.4" <= omegaconf.__version__ else "register_new_resolver")


def tiny(**changes: Any) -> DictConfig:
    config = OmegaConf.create(resolved(composer.load(TINY)))
    for path, value in changes.items():
        OmegaConf.update(config, path.replace("__", "."), value, merge=False)
    return config


def test_shipped_blueprints_keep_their_digests_on_the_way_through_a_config() -> None:
    for path in blueprint_files()[::3]:
        blueprint = composer.load(path)
        again = composer.loads(blueprint.to_omegaconf())
        assert digest(again) == digest(blueprint)
        assert resolved(again) == resolved(blueprint)


def test_a_config_goes_through_yaml_too() -> None:
    blueprint = composer.load(TINY)
    text = OmegaConf.to_yaml(blueprint.to_omegaconf())
    assert digest(composer.loads(OmegaConf.create(text))) == digest(blueprint)


def test_a_config_is_read_only_and_has_plain_types() -> None:
    config = composer.load(TINY).to_omegaconf()
    with pytest.raises(ReadonlyConfigError):
        config.algorithm.batch_size = 8
    assert config.algorithm.batch_size == 32 and isinstance(config.networks.critic.trunk.layers[0].width, int)
    assert config.algorithm.update_to_data == 1.0 and isinstance(config.algorithm.update_to_data, float)


def test_a_plain_table_with_parts_variants_and_overrides() -> None:
    table = resolved(composer.load(TINY)) | {
        "description": None,
        "variants": {"small": {"algorithm": {"batch_size": 8}}},
    }
    del table["blueprint"]
    found = composer.loads(table, ["seeds=[3]"], variant="small")
    assert (found.algorithm.batch_size, found.seeds) == (8, (3,))  # type: ignore[attr-defined]
    assert digest(found) == digest(composer.load(TINY, ["algorithm.batch_size=8", "seeds=[3]"]))


def test_interpolations_are_resolved_by_the_process_of_the_config() -> None:
    config = tiny(
        algorithm__batch_size="${mul_of_test:${values.size},2}", values={"size": 8}, name="tiny-${.values.size}"
    )
    register("mul_of_test", lambda one, other: one * other)
    try:
        found = composer.loads(config)
    finally:
        OmegaConf.clear_resolver("mul_of_test")
    assert (found.algorithm.batch_size, found.name) == (16, "tiny-8")  # type: ignore[attr-defined]
    inner = OmegaConf.create({"size": 24, "experiment": tiny(algorithm__batch_size="${size}")})
    assert composer.loads(inner.experiment).algorithm.batch_size == 24  # type: ignore[attr-defined]


class Task(enum.Enum):
    SWINGUP = "cartpole-swingup"


@dataclass
class Environment:
    kind: str = "dm_control"
    task: str = "cartpole-swingup"
    action_repeat: int = 8


@dataclass
class Experiment:
    environment: Environment = field(default_factory=Environment)


def test_a_structured_config_is_read() -> None:
    config = OmegaConf.merge(tiny(), OmegaConf.structured(Experiment))
    assert digest(composer.loads(config)) == digest(composer.load(TINY))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"algorithm__batch_size": "???", "networks__critic__trunk__layers": [{"kind": "linear", "width": "???"}]},
            [
                "algorithm.batch_size: is missing (???): give it a value",
                "networks.critic.trunk.layers[0].width: is missing",
            ],
        ),
        ({"algorithm__batch_size": "${nowhere}"}, ["algorithm.batch_size: Interpolation key 'nowhere' not found"]),
        ({"algorithm__batch_size": "${nothing:1}"}, ["algorithm.batch_size: Unsupported interpolation type nothing"]),
        ({"algorithm__batch_szie": 8}, ["algorithm.batch_szie: unknown key; did you mean 'batch_size'?"]),
        ({"algorithm__x": 1, "replay__x": 1}, ["algorithm.x: unknown key", "replay.x: unknown key"]),
        ({"algorithm__batch_size": 8.5}, ["algorithm.batch_size: expected integer, got float 8.5"]),
        ({"environment__task": None}, ["environment.task: missing key 'task'"]),
    ],
)
def test_what_is_wrong_with_a_config_is_told_by_path(changes: dict[str, Any], expected: list[str]) -> None:
    with pytest.raises(BlueprintError) as caught:
        composer.loads(tiny(**changes))
    found = [str(each).partition(": ")[2] for each in caught.value.problems]
    assert len(found) == len(expected)
    assert all(told.startswith(start) for told, start in zip(found, expected, strict=True)), found


def test_a_config_that_is_no_table_is_refused() -> None:
    for value in (OmegaConf.create([1]), [1], None, 3):
        with pytest.raises(BlueprintError, match="expected table, got"):
            composer.loads(value)  # type: ignore[arg-type]
