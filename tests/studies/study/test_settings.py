"""``[set]`` and ``[when]`` become plain overrides, in an order that is defined."""

from __future__ import annotations

from pathlib import Path

import pytest
from study_files import TINY, write

from composer.blueprint import BlueprintError
from composer.blueprint.serialize import flatten
from composer.studies.study.load import Study, load_study

VARIANTS = """
[variants.small]
networks.critic.trunk.width = 8
[variants.quick]
training.env_steps = 800
evaluation.every = 400
[variants.reset]
interventions.reset = { use = "full_reset", interval = 400 }
"""


def study_of(folder: Path, text: str, head: str = 'study = 1\nblueprint = "varied.toml"\n') -> Study:
    (folder / "varied.toml").write_text(TINY.read_text() + VARIANTS)
    return load_study(write(folder, text, head))


def overrides(folder: Path, text: str) -> dict[str, tuple[str, ...]]:
    return {
        point.name: (point.blueprint[len(str(folder)) + 1 :], *point.overrides)
        for point in study_of(folder, text).points
    }


def test_keys_with_dots_quoted_keys_and_tables_of_a_kind(tmp_path: Path) -> None:
    text = """[set]
"algorithm.batch_size" = 16
training.env_steps = 800
"networks.critic".copies = 1
environment.action_repeat = 4
algorithm.discount = { kind = "episode_length" }
description = 'at 10:30, "quoted"'
"""
    (point,) = study_of(tmp_path, text).points
    assert point.overrides == (
        "algorithm.batch_size=16",
        "training.env_steps=800",
        "networks.critic.copies=1",
        "environment.action_repeat=4",
        'algorithm.discount={ kind = "episode_length" }',
        'description="at 10:30, \\"quoted\\""',
    )


def test_values_keep_the_types_of_toml(tmp_path: Path) -> None:
    text = '[set]\ndescription = "yes"\nname = "010"\nseeds_ = 0\n'.replace(
        "seeds_ = 0\n", "algorithm.initial_temperature = 1e-1\n"
    )
    (run,) = study_of(tmp_path, text).runs
    assert run.arguments[1:] == ('description="yes"', 'name="010"', "algorithm.initial_temperature=0.1")
    assert (run.blueprint.description, run.blueprint.name, run.blueprint.seeds) == ("yes", "010", (0,))


def test_conditions_lay_interventions_variants_removals_and_values(tmp_path: Path) -> None:
    text = """[axis]
variant = ["base", "reset"]
width = [16, 32]
sam = [false, true]
[set]
"networks.critic.trunk.width" = "${axis.width}"
[when."variant=reset"]
remove = ["interventions.reset"]
use = ["full_reset", "redo"]
set."interventions.full_reset.interval" = "${mul:${axis.width},10}"
set."interventions.redo.interval" = 50
[when."sam = true, width=32"]
variant = "quick"
set."networks.critic.trunk.width" = 64
[when.sam]
set."algorithm.batch_size" = 8
"""
    found = overrides(tmp_path, text)
    laid = (
        "~interventions.reset",
        'interventions.full_reset={ use = "full_reset" }',
        'interventions.redo={ use = "redo" }',
    )
    assert found["variant=base, width=16, sam=false"] == ("varied.toml", "networks.critic.trunk.width=16")
    assert found["variant=base, width=32, sam=true"] == (
        "varied.toml@quick",
        "networks.critic.trunk.width=64",
        "algorithm.batch_size=8",
    )
    assert found["variant=reset, width=32, sam=true"] == (
        "varied.toml@reset+quick",
        *laid,
        "interventions.full_reset.interval=320",
        "interventions.redo.interval=50",
        "networks.critic.trunk.width=64",
        "algorithm.batch_size=8",
    )


def test_what_two_conditions_remove_or_lay_is_removed_or_laid_once(tmp_path: Path) -> None:
    text = """[axis]
a = [false, true]
b = [false, true]
[when.a]
use = "full_reset"
remove = "averages.tortoise"
set = { "interventions.full_reset.interval" = 400, "algorithm.n_step" = 3 }
[when.b]
use = "full_reset"
remove = "averages.tortoise"
set = { "interventions.full_reset.interval" = 500, "algorithm.batch_size" = 8 }
"""
    more = '[averages.tortoise]\nof = "actor"\nmomentum = 0.5\n'
    head = 'study = 1\nblueprint = "averaged.toml"\n'
    (tmp_path / "averaged.toml").write_text(TINY.read_text() + more)
    found = [point.overrides for point in study_of(tmp_path, text, head).points]
    laid = ("~averages.tortoise", 'interventions.full_reset={ use = "full_reset" }')
    first, second = (f"interventions.full_reset.interval={each}" for each in (400, 500))
    more = (second, "algorithm.batch_size=8")
    n_step = "algorithm.n_step=3"
    assert found == [(), (*laid, *more), (*laid, first, n_step), (*laid, n_step, *more)]


def test_a_ladder_of_variants_and_combinations_beside_variants_of_the_blueprint(tmp_path: Path) -> None:
    head = 'study = 1\nblueprint = "varied.toml@quick"\n'
    study = study_of(tmp_path, '[axis]\nvariant = ["base", "small", "small+reset"]\n', head)
    assert [point.blueprint.rpartition("@")[2] for point in study.points] == [
        "quick",
        "quick+small",
        "quick+small+reset",
    ]
    assert [flatten(run.blueprint)["networks.critic.trunk.layers[0].width"] for run in study.runs] == [16, 8, 8]
    assert [point.name for point in study.points] == ["variant=base", "variant=small", "variant=small+reset"]


def test_several_blueprints_are_an_axis(tmp_path: Path) -> None:
    head = 'study = 1\nblueprints = ["tiny.toml", "varied.toml@small", "dmc/sac_simba"]\n'
    study = study_of(tmp_path, 'seeds = [3]\n[when."blueprint=dmc/sac_simba"]\nset."training.env_steps" = 800\n', head)
    assert [run.point.name for run in study.runs] == [
        "blueprint=tiny.toml",
        "blueprint=varied.toml@small",
        "blueprint=dmc/sac_simba",
    ]
    assert [run.blueprint.training.env_steps for run in study.runs] == [1_200, 1_200, 800]
    assert {run.blueprint.seeds for run in study.runs} == {(3,)}


@pytest.mark.parametrize(
    ("kind", "tasks", "key", "titles"),
    [
        ("dmc/sac_simba", '"dog-run", "dog-walk"', "environment.task", ("dog-run", "dog-walk")),
        ("atari/dqn", '"pong", "qbert"', "environment.game", ("pong", "qbert")),
        ("classic/cartpole_dqn", '"CartPole-v1", "Acrobot-v1"', "environment.id", ("CartPole-v1", "Acrobot-v1")),
    ],
)
def test_the_key_of_a_task_is_that_of_the_environment(
    tmp_path: Path, kind: str, tasks: str, key: str, titles: tuple[str, ...]
) -> None:
    study = load_study(write(tmp_path, f"tasks = [{tasks}]\n", f'study = 1\nblueprint = "{kind}"\n'))
    assert study.tasks == titles
    assert [run.arguments[1] for run in study.runs] == [f'{key}="{title}"' for title in titles]


def test_a_reference_of_the_blueprint_is_left_to_it(tmp_path: Path) -> None:
    text = '[set]\nvalues.size = 24\n"algorithm.batch_size" = "\\\\${values.size}"\n'
    (run,) = study_of(tmp_path, text).runs
    assert flatten(run.blueprint)["algorithm.batch_size"] == 24


@pytest.mark.parametrize(
    "text",
    [
        '[set]\n"tracking.uri" = "sqlite:////tmp/theirs.db"\n"tracking.kind" = "mlflow"\n',
        '[set]\ntracking = { kind = "mlflow", uri = "sqlite:////tmp/theirs.db" }\n',
        '[set]\ntracking = { kind = "mlflow", uri = "\\\\${values.uri}" }\nvalues.uri = "sqlite:////tmp/theirs.db"\n',
    ],
)
def test_a_study_chooses_no_tracking_store(tmp_path: Path, text: str) -> None:
    # As an override it would count as the user's own word, which may name any place.
    with pytest.raises(BlueprintError, match=r"tracking\.uri: a study chooses no store"):
        study_of(tmp_path, text)
