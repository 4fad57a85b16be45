"""``composer new``: every pair of algorithm and environment either fits, then passes every check, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer import api
from composer.algorithms.base import Algorithm
from composer.blueprint.inspect import lint
from composer.blueprint.inspect.skeleton import DoesNotFit, skeleton
from composer.blueprint.load import load, report
from composer.environments.base import Environment
from composer.spec import builtin_kinds

builtin_kinds.register()
PLACES = ["atari", "dm_control", "gymnasium", "Pendulum-v1", "MountainCarContinuous-v0", "bit_flipping", "phases"]
PLACES += [
    "drifting_targets",
    "stressed_regression",
    "task_sequence",
    "digits",
    "cifar",
    "teacher",
    "generated_images",
    "minatar",
    "simulator_phases",
    "multitask",
    "offline",
    "craftax",
    "playground",
    "myosuite",
    "ogbench",
    "humanoid_bench",
    "point",
]
DISCRETE = {"dqn", "ppo", "pqn"}
BOXES = {"dreamer_v3", "iql", "metra", "mr_q", "ppo", "sac", "td3", "td7", "tdmpc2", "ddpg"}
FITTING = {
    "atari": DISCRETE | {"dreamer_v3"},
    "minatar": DISCRETE | {"dreamer_v3"},
    "gymnasium": DISCRETE | {"dreamer_v3", "mr_q"},
    "dm_control": BOXES,
    "Pendulum-v1": BOXES,
    "offline": BOXES - {"dreamer_v3", "metra", "mr_q", "ppo"},
}
FITTING |= {"simulator_phases": DISCRETE | {"dreamer_v3"}, "multitask": BOXES, "MountainCarContinuous-v0": BOXES}
FITTING |= {"craftax": DISCRETE | {"dreamer_v3", "mr_q"}}
FITTING |= dict.fromkeys(("playground", "myosuite", "ogbench", "humanoid_bench", "point"), BOXES)
RARE = {"craftax", "playground", "myosuite", "humanoid_bench"}
"""Suites of packages that few have installed: where one is missing, that is the only problem."""
EXPECTED = {"norm-and-decay"}
"""Advice on published methods that are older than it."""
OURS = [kind for kind in Algorithm.kinds() if "/" not in kind]
"""Without the plug-ins that other tests register in this process."""


@pytest.mark.parametrize("place", PLACES)
def test_every_pair_passes_all_checks_or_is_refused_with_a_reason(place: str, tmp_path: Path) -> None:
    for algorithm in OURS:
        if algorithm not in FITTING.get(place, {"supervised"}):
            with pytest.raises(DoesNotFit, match=f"^{algorithm} does not fit .*: .*; .* fit$"):
                skeleton(algorithm, place)
            continue
        path = tmp_path / f"{algorithm}.toml"
        path.write_text(skeleton(algorithm, place), encoding="utf-8")
        found = report(path)
        missing = [each for each in found.problems if place in RARE and each.path == "environment.kind"]
        assert all("pip install" in each.message for each in missing)
        assert (found.problems, found.warnings) == (missing, []), path
        longer = (
            {"short-replay"} if place == "humanoid_bench" else set()
        )  # 2,000,000 steps, of which 1,000,000 are kept.
        longer |= {"long-horizon"} if algorithm == "dreamer_v3" else set()  # One discount for all tasks is its claim.
        assert {advice.rule for advice in lint.lint(path)} <= EXPECTED | longer, path
        assert load(path, variant="wide", is_to_run=False) if "[variants.wide]" in path.read_text() else True
        for line in path.read_text().split("\n"):
            assert len(line) <= 160 and (" #" not in line or "  #" in line), line
        tables = [line for line in path.read_text().split("\n") if line.startswith("[")]
        assert len(tables) >= 6 and all("  # " in line for line in tables)


def test_every_environment_of_composer_is_tried() -> None:
    assert {kind for kind in Environment.kinds() if "/" not in kind} <= set(PLACES)


def test_a_task_from_pixels_has_an_encoder_and_vector_trunks_behind_it(tmp_path: Path) -> None:
    for algorithm in ("sac", "ddpg", "td3"):
        path = tmp_path / f"{algorithm}.toml"
        path.write_text(skeleton(algorithm, "cartpole-swingup/pixels", "simba"), encoding="utf-8")
        found, text = report(path), path.read_text()
        assert (found.problems, found.warnings) == ([], []), path
        assert 'observe = "pixels"' in text and "capacity = 100_000" in text
        networks = load(path, variant="wide", is_to_run=False).blueprint.sound_outlines
        assert networks["actor"].input == networks["encoder"].output == (39_200,)
        assert text.count('use = "simba"') == 2 and networks["critic"].children["trunk"].output == (1_024,)
    with pytest.raises(DoesNotFit, match="'pong' is observed in one way alone: leave '/pixels' out"):
        skeleton("dqn", "pong/pixels")


@pytest.mark.parametrize("trunk", ["simba", "simba_post", "simba_v2", "bro", "crelu_mlp", "fourier_mlp"])
def test_a_trunk_is_taken_with_its_published_sizes(trunk: str, tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_text(skeleton("sac", "walker-walk", trunk), encoding="utf-8")
    assert report(path).problems == []
    assert f'use = "{trunk}"' in path.read_text()
    if trunk == "simba":
        assert 'trunk = { use = "simba", width = 128, blocks = 1 }' in path.read_text()
        assert 'trunk = { use = "simba", width = 512, blocks = 2 }' in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sacc", "pong"), "no algorithm is called 'sacc'; did you mean 'sac'?"),
        (("sac", "walker-wlk"), "is called 'walker-wlk'; did you mean 'walker-walk'?"),
        (("dqn", "dmc"), "is called 'dmc'; environments: 'atari', "),
        (("dqn", "gymnasium/CartPol-v1"), "no environment registered as 'CartPol-v1'; did you mean 'CartPole-v1'?"),
        (("supervised", "phases/digits"), "no key of 'phases' names a task, so write 'phases' alone"),
        (("dqn", "CartPole-v1", "simbb"), "no part for a trunk is called 'simbb'; did you mean 'simba'?"),
        (("dqn", "CartPole-v1", "nature_cnn"), "dqn does not fit CartPole-v1: networks.value.trunk.layers[1]: 'conv'"),
        (("sac", "pong"), "SAC needs vectors as observations and actions, got choices; 'dqn', 'dreamer_v3', 'ppo', "),
    ],
)
def test_a_wrong_name_is_told_what_is_near(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(DoesNotFit) as caught:
        skeleton(*arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("algorithm", "place", "changes"),
    [
        ("ppo", "CartPole-v1", ["training.env_steps=1_024", "evaluation.every=1_024"]),
        ("pqn", "CartPole-v1", ["training.env_steps=2_048", "evaluation.every=2_048"]),
        ("dqn", "CartPole-v1", ["algorithm.warmup_interactions=50", "training.env_steps=120", "evaluation.every=120"]),
        ("td3", "Pendulum-v1", ["algorithm.warmup_interactions=50", "training.env_steps=120", "evaluation.every=120"]),
        ("supervised", "bit_flipping", ["training.env_steps=40", "evaluation.every=20"]),
    ],
)
def test_skeletons_train(algorithm: str, place: str, changes: list[str], tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_text(skeleton(algorithm, place), encoding="utf-8")
    short = ["seeds=[0]", "compute.device=cpu", "compute.threads=1", "compute.compile=never", "tracking.kind=none"]
    short += ["checkpoint.every=1_000_000", "training.log_every=20"]
    short += ["evaluation.episodes=1"] if place != "bit_flipping" else []
    loaded = load(path, [*short, *changes])
    done = api.train(loaded.blueprint, tmp_path / "runs")
    assert done.table["status"] == "finished" and done.table["updates"] > 0
