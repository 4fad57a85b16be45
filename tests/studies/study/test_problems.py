"""Every problem of a study is told at its line, once, with the points that have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from study_files import write

from composer.blueprint import BlueprintError, load
from composer.blueprint.syntax.nodes import annotate
from composer.blueprint.syntax.problems import Problem
from composer.studies.study.load import load_study
from composer.studies.study.problems import Collected, StudyProblem, study_problem

AXES = "[axis]\nwidth = [16, 32]\nresets = [false, true]\n"
USED = """[set]
"networks.critic.trunk.width" = "${axis.width}"
[when.resets]
use = "full_reset"
set."interventions.full_reset.interval" = 600
"""
"""Everything on which the axes need something to depend."""


def problems(folder: Path, text: str, head: str = 'study = 1\nblueprint = "tiny.toml"\n') -> list[str]:
    path = write(folder, text, head)
    with pytest.raises(BlueprintError) as caught:
        load_study(path)
    return [str(each).replace(f"{folder}/", "") for each in caught.value.problems]


def test_a_sound_study_has_none(tmp_path: Path) -> None:
    assert len(load_study(write(tmp_path, AXES + USED)).runs) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sutie = 'dmc_hard'", "3:1: sutie: unknown key; did you mean 'suite'?"),
        ("variants = ['base']", "3:1: variants: unknown key; write [axis] variant = [...]"),
        ("suite = 'dmc_hrad'", "3:9: suite: no suite named \"dmc_hrad\"; did you mean 'dmc_hard'?"),
        ("suite = 'dmc_hard'\ntasks = ['dog-run']", "4:1: tasks: a study has a suite or tasks, not both"),
        ("suite = 'atari_5'", "3:9: suite: is a set of atari tasks; the environment of the blueprint is dm_control"),
        ("tasks = ['dog-rnu']", "3:10: environment.task: no dm_control task named 'dog-rnu'; did you mean 'dog-run'?"),
        ("tasks = ['dog-run', 'dog-run']", '3:21: tasks[1]: "dog-run" is listed twice'),
        ("tasks = []", "3:9: tasks: needs at least 1 entry, has 0"),
        ("tasks = [1]", "3:10: tasks[0]: expected string, got integer 1"),
        (
            "tasks = ['dog-run']\n[set]\nenvironment.task = 'dog-walk'",
            "3:10: tasks: the study sets environment.task too",
        ),
        ("seeds = 0", "3:9: seeds: must be 1 to 64 seeds or a list of them, got 0"),
        ("seeds = 1_000_000_000", "3:9: seeds: must be 1 to 64 seeds or a list of them, got 1,000,000,000"),
        ("seeds = true", "3:9: seeds: expected list, got boolean true"),
        ("seeds = []", "3:9: seeds: needs at least 1 entry, has 0"),
        ("seeds = [0, 0]", "3:9: seeds: seed 0 is listed twice"),
        ("seeds = [-1]", "3:10: seeds[0]: must be in 0 to 2^63-1, got -1"),
        ("name = 'A B'", "3:8: name: use [a-z0-9._-], 1 to 64 characters, the first"),
        (
            "[axis]\nwidth = [16, 32]",
            "4:1: axis.width: nothing depends on this axis; name it below [set], as in ${axis.width}",
        ),
        ("[set]\n'networks..width' = 1", '4:1: set."networks..width": expected a key of the blueprint such as'),
        ("[set]\nseeds = [1]", "4:1: seeds: cannot be set here; write seeds = ... at the top of the file"),
        (
            "[set]\nalgorithm.batch_size = 8\n'algorithm.batch_size' = 9",
            "5:1: algorithm.batch_size: is set above too, on line 4",
        ),
        ("[set]\nalgorithm.batch_szie = 8", "4:24: algorithm.batch_szie: unknown key; did you mean 'batch_size'?"),
        ("[set]\nalgorithm.batch_size = 2030-01-01", "expected integer, got date 2030-01-01"),
        ("[set]\nalgorithm.batch_size = inf", "expected integer, got float inf"),
        (f"[set]\ndescription = '{'x' * 1_900}{'${add:1,1}'}'", "makes a text of 1,901 characters; limit 1,000"),
        ("[set]\nnetworks.critic.trunk[0] = 1", "not TOML"),
        ("[when.resets]\nuse = 'full_reset'", '3:7: when.resets: no axis named "resets"; the study has no [axis]'),
        ("[axis]\nx = [1]\n[when.x]\n", "5:7: when.x: axis 'x' is not boolean; write [when.\"x=VALUE\"]"),
        ("[axis]\nx = [1]\n[when.'x=2']\n", "5:7: when.\"x=2\": axis 'x' has no value integer 2; it has '1'"),
        ("[axis]\nx = [1]\n[when.'x=1,x=1']\n", "5:7: when.\"x=1,x=1\": names axis 'x' twice"),
        (
            "[axis]\nx = ['adam']\n[when.'x=adma']\n",
            "5:7: when.\"x=adma\": axis 'x' has no value string \"adma\"; did you mean 'adam'?",
        ),
        (
            "[axis]\nx = [true]\n[when.x]\nuse = 'full_rest'",
            "6:7: use: no intervention named \"full_rest\"; did you mean 'full_reset'?",
        ),
        (
            "[axis]\nx = [true]\n[when.x]\nuse = 'simba'",
            '6:7: use: "simba" is a block; use lays interventions; give other parts',
        ),
        ("[axis]\nx = [true]\n[when.x]\nremoves = 'a'", "6:1: when.x.removes: unknown key; did you mean 'remove'?"),
        ("[axis]\nx = [true]\n[when.x]\nvariant = 'smal'", "6:11: no variant named 'smal'"),
        ("[axis]\nvariant = ['base', 'smal']", "4:20 (at variant=smal): no variant named 'smal'"),
        ("[axis]\nx = [true]\n[when.x]\nremove = 'networks.nobody'", "6:10: networks.nobody: cannot be removed"),
        ("[axis]\nx = [true]\n[when.x]\nremove = '!'", '6:10: expected ~KEY such as ~interventions.reset, got "~!"'),
        (
            "[axis]\nname = ['a', 'b']\n[set]\nname = '${axis.name}'",
            "2:13: the points 'name=a' and 'name=b' train the same on cartpole-swingup; exclude one",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_line(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1 and found[0].startswith("study.toml:") and expected in found[0], found


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("study = 2\nblueprint = 'tiny.toml'\n", "study.toml:1:9: study: this composer reads studies of format 1"),
        ("blueprint = 'tiny.toml'\n\n", "study.toml:1:1: study: missing key 'study' (format of the file: 1)"),
        ("study = 1\n\n", "study.toml:1:1: blueprint: missing key 'blueprint' (the agent that is studied)"),
        ("study = 1\nblueprint = 1\n", "study.toml:2:13: blueprint: expected string, got integer 1"),
        (
            "study = 1\nblueprint = 'dmc/sac_smiba'\n",
            'study.toml:2:13: blueprint: no file and no shipped blueprint "dmc/sac_smiba"; did you',
        ),
        (
            "study = 1\nblueprint = 'other.toml@x'\n",
            'study.toml:2:13: blueprint: no file and no shipped blueprint "other.toml"',
        ),
        ("study = 1\nblueprint = 'tiny.toml@x'\n", "study.toml:2:13: tiny.toml:1:1: no variant named 'x'"),
        (
            "study = 1\nblueprints = ['tiny.toml', 'tiny.toml']\n",
            'study.toml:2:28: blueprints[1]: string "tiny.toml" is listed twice',
        ),
        (
            "study = 1\nblueprint = 'tiny.toml'\nblueprints = ['tiny.toml']\n",
            "study.toml:3:1: blueprints: a study has blueprint or blueprints, not both",
        ),
        (
            "study = 1\nblueprint = 'warm_start/digits'\ntasks = ['a']\n",
            "study.toml:3:10: tasks: no single key of the environment phases names its task",
        ),
        ("study = 1\nblueprint = 'study.toml'\n", "study.toml:1:1: "),
    ],
)
def test_what_is_wrong_with_the_head_of_a_study(tmp_path: Path, head: str, expected: str) -> None:
    found = problems(tmp_path, "", head)
    assert found[0].startswith(expected), found


def test_all_problems_come_at_once_each_with_its_points(tmp_path: Path) -> None:
    text = AXES.replace("[16, 32]", "[16, 30, 31]") + USED.replace(
        "[when", '"networks.actor.trunk.width" = "${div:${axis.width},4}"\n"algorithm.batch_size" = 2.5\n[when'
    ).replace("= 600", "= 1")
    assert problems(tmp_path, text) == [
        "study.toml:8:32 (at width=30): networks.actor.trunk.layers[0].width: expected integer, got float 7.5",
        "study.toml:8:32 (at width=31): networks.actor.trunk.layers[0].width: expected integer, got float 7.75",
        "study.toml:9:26: algorithm.batch_size: expected integer, got float 2.5",
    ]


def test_a_wrong_task_is_told_at_its_line_without_its_name(tmp_path: Path) -> None:
    text = 'tasks = ["cartpole-swingup", "cartpole-swing"]\n' + AXES + USED
    meant = "no dm_control task named 'cartpole-swing'; did you mean 'cartpole-swingup'?"
    assert problems(tmp_path, text) == [f"study.toml:3:30: environment.task: {meant}"]


def test_a_problem_of_the_blueprint_names_its_line_and_that_of_the_study(tmp_path: Path) -> None:
    text = '[axis]\nresets = [false, true]\n[when.resets]\nremove = ["networks.critic"]\n'
    (found,) = problems(tmp_path, text)
    assert found.startswith("study.toml:2:13 (at resets=true): ") and "tiny.toml:" in found and "networks" in found


def test_points_are_named_by_the_values_that_they_alone_share() -> None:
    points = [{"x": x, "y": y} for x in (1, 2, 3) for y in (False, True)]
    within = annotate({}, {}, "study.toml")
    found = study_problem(within.at, "key", "wrong")

    def told(*runs: tuple[int, str]) -> str:
        collected = Collected("study.toml", points, ["walk", "run"])
        for point, task in runs:
            collected.add(found, point, task, within)
        (joined,) = collected.problems()
        return str(joined).removeprefix("study.toml:1:1").removesuffix(": key: wrong")

    both = ("walk", "run")
    assert told(*((point, task) for point in range(6) for task in both)) == ""
    assert told(*((point, "run") for point in range(6))) == " (on run)"
    assert told(*((point, task) for point in (2, 3) for task in both)) == " (at x=2)"
    assert told(*((point, task) for point in (1, 3, 5) for task in both)) == " (at y=true)"
    assert told((2, "run"), (3, "run")) == " (at x=2 on run)"
    assert told((0, "walk"), (0, "run")) == " (at x=1, y=false)"
    three = told(*((point, task) for point in (0, 1, 2) for task in both))
    assert three == " (at x=1, y=false): key: wrong (and at 2 more points)"


def test_the_answer_for_programs_lists_every_point() -> None:
    problem = StudyProblem("s.toml", 1, 2, "key", "wrong", points=("x=1", "x=2"))
    assert problem.as_dict()["points"] == ("x=1", "x=2")
    assert isinstance(problem, Problem) and str(problem) == "s.toml:1:2 (at x=1): key: wrong (and at 1 more point)"


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match="no such file, nor a shipped study of this name"):
        load_study(tmp_path / "absent.toml")


def test_a_blueprint_and_a_study_are_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path, AXES + USED)
    with pytest.raises(BlueprintError, match=r"study\.toml:1:1: this is a study, not a blueprint; 'composer study'"):
        load(path)
    with pytest.raises(BlueprintError, match=r"tiny\.toml:1:1: this is a blueprint, not a study; 'composer check'"):
        load_study(tmp_path / "tiny.toml")
