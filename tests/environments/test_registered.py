"""Suites that a package registers: declared without it, built with it, refused where it is missing or another one."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from stand_ins import install

from composer.environments import EnvironmentFailure, HumanoidBench, MyoSuite, OGBench
from composer.environments.interface import UnusableEnvironment
from composer.environments.suites.registered import RegisteredSuite

KINDS: tuple[RegisteredSuite, ...] = (
    HumanoidBench(task="h1-reach-v0"),
    MyoSuite(task="myoElbowPose1D6MRandom-v0"),
    OGBench(task="antmaze-medium", goal=3),
)


@pytest.mark.parametrize("declared", KINDS, ids=lambda each: each.kind)
def test_what_is_not_installed_says_how_to_install_it(
    declared: RegisteredSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(declared), "package", "no_such_package_here")
    assert declared.info.episode_env_steps >= 100  # known without it
    key, reason = declared.refusal() or ("", "")
    assert key == "kind" and reason.startswith("no_such_package_here is not installed: pip install ")
    with pytest.raises(UnusableEnvironment, match="pip install"):
        declared.make([0], "training")


def test_a_stand_in_of_humanoid_bench_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds decide its global draws, the program's own are untouched, and what it prints leaves standard output."""
    install(monkeypatch, "humanoid_bench", {"h1-reach-v0": (57, 19, 1000)}, "")
    environment = HumanoidBench(task="h1-reach-v0", action_repeat=2, episode_env_steps=30)
    np.random.seed(3)
    expected = np.random.RandomState(3).uniform(size=4)
    courses = []
    for _ in range(2):
        vector = environment.make([1, 2], "training")
        told = [vector.reset(episode=4).copy()]
        for _ in range(20):
            step = vector.step(np.full((2, 19), 0.5, np.float32))
            told.append(step.observation.copy())
            assert ((step.reward >= 0) & (step.reward <= 2)).all()
        courses.append(np.array(told))
        vector.close()
    np.testing.assert_array_equal(courses[0], courses[1])
    assert (courses[0][:, 0] != courses[0][:, 1]).any()
    np.testing.assert_array_equal(np.random.uniform(size=4), expected)
    assert capsys.readouterr().out == ""
    assert environment.metric == "evaluation/return" and not environment.further_evaluation_metrics()


def test_a_stand_in_of_myosuite_tells_success_and_keeps_the_shorter_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "myoElbowPose1D6MRandom-v0"
    sizes = MyoSuite.table()[name]
    install(monkeypatch, "myosuite", {name: (sizes.observation_size, sizes.action_size, 100)}, "solved")
    environment = MyoSuite(task=name, score="sustained_success", episode_env_steps=7)
    assert environment.metric == "evaluation/sustained_success" and environment.info.episode_env_steps == 7
    assert MyoSuite(task=name, episode_env_steps=1000).info.episode_env_steps == 100
    vector = environment.make([1], "training")
    vector.reset()
    ends = [bool(vector.step(np.zeros((1, sizes.action_size), np.float32)).truncated[0]) for _ in range(14)]
    assert [at for at, end in enumerate(ends) if end] == [6, 13]
    assert vector.solved().shape == (1, 2)
    vector.close()


def test_another_version_of_a_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "humanoid_bench", {"h1-walk-v0": (60, 19, 1000)}, "")
    with pytest.raises(
        EnvironmentFailure, match=r"observations \[60\] and 19 actions; when it was described, it had .*51"
    ):
        HumanoidBench(task="h1-walk-v0").make([0], "training")


@pytest.mark.parametrize("kind", [MyoSuite, OGBench])
def test_every_named_task_is_registered_where_the_package_is_installed(kind: type[RegisteredSuite]) -> None:
    if find_spec(kind.package) is None:
        pytest.skip(f"{kind.package} is not installed")
    import gymnasium

    table = kind.table()
    assert len(table) == {"myosuite": 160, "ogbench": 23}[kind.kind]
    for task in table:
        declared = kind(task=task)
        declared._register()
        assert gymnasium.registry[declared.id].max_episode_steps == declared.info.episode_env_steps
