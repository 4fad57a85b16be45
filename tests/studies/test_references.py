"""The tables of registry/references: complete, cited, of tasks that exist, applied to the runs that they are for."""

from __future__ import annotations

import pytest

from composer.environments.suites.task_tables import game_table, suite, task_table
from composer.studies import Refused
from composer.studies.compare.references import chosen_constants, constants, is_share, published, reference_names

RETURN = "evaluation/return"


def test_every_table_names_where_its_numbers_come_from() -> None:
    assert set(constants()) == {"atari_human", "dmc", "humanoid_bench", "mujoco_td3", "mujoco_td3_v5"}
    for table in (*constants().values(), published("simba-2025"), published("simba-v2-2025")):
        assert "arXiv:" in table.citation and table.url.startswith("https://github.com/")
    assert set(reference_names()) == {*constants(), "simba-2025", "simba-v2-2025"}


def test_constants_of_atari_are_of_its_57_games() -> None:
    table = constants()["atari_human"]
    assert set(table.tasks) == set(suite("atari_57").tasks) <= set(game_table())
    # Alien in BBF's released scores: 1032.5 is 0.11662.
    low, high = table.tasks["alien"]
    assert (1032.5 - low) / (high - low) == pytest.approx(0.11662, abs=5e-6)
    assert all(high > low for low, high in table.tasks.values())


def test_which_table_applies_follows_from_environment_and_task() -> None:
    def of(environment: str, task: str, metric: str = RETURN) -> dict[str, tuple[float, float]]:
        found = {table.name: table.of(environment, task, metric) for table in chosen_constants("auto")}
        return {name: pair for name, pair in found.items() if pair is not None}

    assert of("dm_control", "walker-walk") == {"dmc": (0.0, 1000.0)} == of("playground", "WalkerWalk")
    assert of("dm_control", "lqr-lqr_2_1") == {}, "its rewards have no lower bound"
    assert of("gymnasium", "Ant-v4") == {"mujoco_td3": (-70.288, 3942.0)}
    assert of("gymnasium", "Ant-v5") == {}, "another version has other rewards"
    (by_name,) = chosen_constants("mujoco_td3_v5")
    assert by_name.of("gymnasium", "Ant-v5", RETURN) == (-70.288, 3942.0), "for those who ask for it"
    for kind in ("gymnasium", "humanoid_bench"):
        assert of(kind, "h1-stair-v0") == {"humanoid_bench": (3.112, 700.0)}
    assert of("humanoid_bench", "h1hand-slide-v0") == {"humanoid_bench": (3.142, 700.0)}
    assert all(table.only_by_name == (table is by_name) for table in constants().values())
    assert of("gymnasium", "CartPole-v1") == {} == of("dm_control", "walker-walk", "critic/loss")
    assert of("atari", "pong") == {"atari_human": (-20.7, 14.6)}


def test_names_of_constants() -> None:
    assert len(chosen_constants("auto")) == 4 and not chosen_constants("none")
    assert [table.name for table in chosen_constants("dmc")] == ["dmc"]
    with pytest.raises(Refused, match=r"no constants named 'dcm'; did you mean 'dmc'\?"):
        chosen_constants("dcm")
    assert is_share((0.0, 1.0)) and not is_share((0.0, 1000.0))


@pytest.mark.parametrize("name", ["simba-2025", "simba-v2-2025"])
def test_published_results_are_sound(name: str) -> None:
    table, domain = published(name), set(task_table("dm_control"))
    steps = {step for tasks in table.scores.values() for cells in tasks.values() for step in cells}
    assert steps == {100_000, 250_000, 500_000, 1_000_000}
    for tasks in table.scores.values():
        for task, cells in tasks.items():
            assert cells and (task in domain or task.endswith(("-v0", "-v4"))), task
            for score in cells.values():
                assert score.deviation >= 0 and 2 <= score.seeds <= 15
                assert task not in domain or -1e-6 <= score.mean <= 1000.001
    assert table.repeat("walker-walk") == 2


def test_published_results_are_those_of_the_source() -> None:
    """By hand from results/sac_simba.csv: dog-trot of seed 4000 at 1M steps has 873.7; the mean of 15 seeds is near."""
    score = published("simba-2025").scores["sac_simba"]["dog-trot"][1_000_000]
    assert score.seeds == 15 and abs(score.mean - 873.7) < 2 * score.deviation
    assert published("simba-v2-2025").repeat("Ant-v4") == 1
    with pytest.raises(Refused, match=r"no published results named 'simba'"):
        published("simba")
