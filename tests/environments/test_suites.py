"""Tables of tasks: the generated one equals the installed simulator, the named sets are those of the papers."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from composer.environments.suites.dm_control_single import load_suite
from composer.environments.suites.task_tables import suite, suite_names, task_table
from composer.spec.package_files import registry_root

TOOL = Path(__file__).resolve().parents[2] / "tools" / "dm_control_table.py"


def test_table_names_every_task_of_the_installed_suite() -> None:
    assert sorted(task_table("dm_control")) == sorted("-".join(pair) for pair in load_suite().ALL_TASKS)


@pytest.mark.slow
def test_table_is_what_the_tool_measures_on_the_installed_suite() -> None:
    """Alone compares the shipped table of tasks with the installed dm_control."""
    committed = (registry_root() / "suites" / "tasks_dm_control.toml").read_text(encoding="utf-8")
    assert runpy.run_path(str(TOOL))["table"]() == committed


def test_sets_are_those_of_the_papers() -> None:
    registered = ("humanoid_bench", "mujoco_v4", "mujoco_v5", "myosuite_simba", "ogbench_singletask")
    atari, dmc = ("atari_100k", "atari_5", "atari_57"), ("dmc_em", "dmc_hard", "dmc_v2_easy")
    assert suite_names() == tuple(sorted((*atari, *dmc, "minatar", *registered)))
    assert [len(suite(name).tasks) for name in registered] == [14, 5, 5, 10, 23]
    for name in ("humanoid_bench", "myosuite_simba", "ogbench_singletask"):
        assert set(suite(name).tasks) <= set(task_table(suite(name).environment))
    medium, hard, easy = map(suite, dmc)
    assert (len(medium.tasks), len(hard.tasks), len(easy.tasks)) == (20, 7, 21)
    assert set(easy.tasks) - set(medium.tasks) == {"ball_in_cup-catch"}
    assert {task.split("-")[0] for task in hard.tasks} == {"dog", "humanoid"}
    assert (medium.env_steps, hard.env_steps, easy.env_steps) == (500_000, 1_000_000, 1_000_000)
    for one in (medium, hard, easy):
        assert len(set(one.tasks)) == len(one.tasks) and set(one.tasks) <= set(task_table(one.environment))
        assert "arXiv:" in one.source and one.name in suite_names()


def test_unknown_set_names_the_near_one() -> None:
    with pytest.raises(KeyError, match="no suite named 'dmc_hrad'; did you mean 'dmc_hard'"):
        suite("dmc_hrad")
