"""A study file makes the points, runs and arguments that follow from its axes in closed form."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from guide_pages import fences
from study_files import write

from composer.blueprint import BlueprintError, digest, load
from composer.blueprint.serialize import flatten
from composer.blueprint.syntax.notation import experiment
from composer.studies.study.load import load_study

LADDER = """
tasks = ["cartpole-swingup", "cartpole-balance"]
seeds = 3
[axis]
width = [16, 32, 64]
ratio = [1, 2]
resets = [false, true]
[set]
"networks.critic.trunk.width" = "${axis.width}"
"networks.actor.trunk.width" = "${div:${axis.width},4}"
algorithm.update_to_data = "${axis.ratio}"
[when.resets]
use = "full_reset"
set = { "interventions.full_reset.interval" = 400 }
"""


def problems(path: Path) -> list[str]:
    with pytest.raises(BlueprintError) as caught:
        load_study(path)
    return [str(each).replace(str(path), path.name) for each in caught.value.problems]


def test_crossed_axes_make_a_run_for_each_combination_and_task(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, LADDER))
    values = [(width, ratio, resets) for width in (16, 32, 64) for ratio in (1, 2) for resets in (False, True)]
    assert [tuple(point.values.values()) for point in study.points] == values
    assert [(run.point.name, run.task) for run in study.runs] == [
        (point.name, task) for point, task in product(study.points, study.tasks)
    ]
    assert study.tasks == ("cartpole-swingup", "cartpole-balance") and study.seeds == (0, 1, 2)
    for run, (width, ratio, resets) in zip(study.runs[::2], values, strict=True):
        blueprint = run.blueprint
        assert flatten(blueprint)["networks.critic.trunk.layers[0].width"] == width
        assert flatten(blueprint)["networks.actor.trunk.layers[0].width"] == width // 4
        assert blueprint.algorithm.update_to_data == ratio  # type: ignore[attr-defined]
        assert ("full_reset" in blueprint.interventions) == resets
        assert blueprint.seeds == (0, 1, 2)
    assert study.runs[1].blueprint.environment.title == "cartpole-balance"


def test_the_arguments_of_a_run_load_the_blueprint_that_was_checked(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, LADDER))
    assert len({run.key for run in study.runs}) == len(study.runs) == 24
    for run in study.runs:
        file, *overrides = run.arguments
        assert digest(load(*experiment(file, overrides), is_to_run=False).blueprint) == run.key
        assert run.arguments[1 : 1 + len(run.point.overrides)] == run.point.overrides


def test_a_wrong_point_is_told_at_the_line_of_the_study_with_the_message_of_the_blueprint(tmp_path: Path) -> None:
    text = LADDER.replace("[16, 32, 64]", "[16, 30, 64]")
    assert problems(write(tmp_path, text)) == [
        "study.toml:12:32 (at width=30): networks.actor.trunk.layers[0].width: expected integer, got float 7.5"
    ]


def test_the_study_of_the_guide_is_what_the_guide_says(tmp_path: Path) -> None:
    text, *_ = (fence.text for fence in fences("studies.md") if fence.text.startswith("study = 1"))
    path = tmp_path / "guide.toml"
    path.write_text(text)
    study = load_study(path)
    assert (len(study.points), len(study.tasks), len(study.runs), study.seeds) == (18, 7, 126, (0, 1, 2, 3, 4))
    width, quarter = (f"networks.{role}.trunk.layers[0].width" for role in ("critic", "actor"))
    assert {(flatten(run.blueprint)[width], flatten(run.blueprint)[quarter]) for run in study.runs[::7]} == {
        (128, 32),
        (256, 64),
        (512, 128),
    }
