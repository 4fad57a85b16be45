"""README is true: its blueprint is the shipped one, its table says who learns where, its commands run."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guide_pages import ROOT
from typer.testing import CliRunner

import composer
from composer import BlueprintError
from composer.blueprint.syntax.extends import shipped
from composer.blueprint.syntax.parts import parts
from composer.cli import app
from composer.environments.interface import EnvironmentFailure

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)

VECTORS = [{"kind": "linear", "width": 8}, {"kind": "relu"}]
PIXELS = [{"kind": "scale", "factor": 1 / 255}, {"kind": "flatten"}, *VECTORS]
PICTURES = [{"kind": "flatten"}, *VECTORS]
DATA = {"kind": "digits", "samples": 64, "held_out": 32}
SIZE = {"height": 16, "width": 16}
ENVIRONMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "states → numbers": {
        "dm_control": {"kind": "dm_control", "task": "cartpole-swingup", "action_repeat": 20},
        "gymnasium": {"kind": "gymnasium", "id": "Pendulum-v1"},
        "point": {"kind": "point"},
    },
    "states → choices": {"gymnasium": {"kind": "gymnasium", "id": "CartPole-v1"}},
    "pixels → numbers": {
        "dm_control": {
            "kind": "dm_control",
            "task": "cartpole-swingup",
            "action_repeat": 20,
            "observe": "pixels",
            **SIZE,
        }
    },
    "pixels → choices": {
        "atari": {"kind": "atari", "game": "pong", "frame_limit": 100, **SIZE},
        "minatar": {"kind": "minatar", "game": "breakout", "episode_env_steps": 20},
    },
    "labelled data": {
        "tasks": {"kind": "task_sequence", "data": DATA, "task_updates": 4, "change": "labels"},
        "phases": {"kind": "phases", "data": DATA, "phases": [{"updates": 4, "subset": 0.5}, {}]},
    },
}
NO_REPLAY = ("ppo", "pqn", "supervised")
SMALL = {
    "metra": {"rollout_interactions": 4, "untrained_interactions": 8, "update_to_data": 1.0},
    "dqn": {"update_to_data": 1.0, "warmup_interactions": 8, "epsilon": 0.1},
    "ppo": {"rollout_interactions": 8, "minibatches": 2, "epochs": 1},
    "pqn": {"rollout_interactions": 8, "minibatches": 2, "epochs": 1, "epsilon": 0.1},
    "supervised": {},
    "dreamer_v3": {
        "recurrent": 8,
        "variables": 4,
        "classes": 2,
        "sequence": 4,
        "horizon": 2,
        "untrained_interactions": 7,
    },
}
OBSERVED = {"cartpole-swingup": 5, "Pendulum-v1": 3, "CartPole-v1": 4}
SEEN = {"dm_control": 9 * 16**2, "atari": 4 * 16**2, "minatar": 4 * 10**2}
"""Entries of an observation: of a vector by its task, of pictures by their suite."""


def table() -> Iterator[tuple[str, str, list[str]]]:
    """Algorithm, column, and the environments of the cell."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    head = next(line for line in TEXT.splitlines() if line.startswith("| `algorithm.kind`"))
    columns = [cell.strip() for cell in head.strip("|").split("|")][1:]
    for row in rows:
        name, *cells = [cell.strip() for cell in row.removeprefix("|").removesuffix("|").split("|")]
        if row != head:
            for column, cell in zip(columns, cells, strict=True):
                yield name.split("`")[1], column, [word.strip() for word in cell.split(",") if word.strip()]


CELLS = list(table())
CLAIMED = [(kind, column, name) for kind, column, names in CELLS for name in names]


def agent(kind: str, column: str, environment: dict[str, Any]) -> dict[str, Any]:
    """The smallest agent of a kind, with the heads that it needs in this column."""
    trunk = PIXELS if column.startswith("pixels") else PICTURES if kind == "supervised" else VECTORS
    heads: dict[str, dict[str, str]] = {
        "sac": {"actor": "tanh_gaussian", "critic": "scalar"},
        "ddpg": {"actor": "deterministic_tanh", "critic": "scalar"},
        "td3": {"actor": "deterministic_tanh", "critic": "scalar"},
        "td7": {
            "state_encoder": "features",
            "state_action_encoder": "features",
            "actor": "deterministic_tanh",
            "critic": "scalar",
        },
        "tdmpc2": {
            "encoder": "features",
            "dynamics": "features",
            "reward": "scalar",
            "actor": "tanh_gaussian",
            "critic": "scalar",
        },
        "dreamer_v3": {
            **dict.fromkeys(("encoder", "dynamics", "prior", "posterior", "decoder"), "features"),
            **dict.fromkeys(("reward", "continuation", "critic"), "scalar"),
            "actor": "categorical_policy" if column.endswith("choices") else "gaussian_policy",
        },
        "mr_q": {
            **dict.fromkeys(("state_encoder", "state_action_encoder", "model"), "features"),
            "actor": "categorical_policy" if column.endswith("choices") else "linear_action",
            "critic": "scalar",
        },
        "metra": {"representation": "features", "actor": "tanh_gaussian", "critic": "scalar"},
        "iql": {"value": "scalar", "actor": "gaussian_policy", "critic": "scalar"},
        "ppo": {"actor": "categorical_policy" if column.endswith("choices") else "gaussian_policy", "critic": "scalar"},
        "dqn": {"value": "discrete_value"},
        "pqn": {"value": "discrete_value"},
        "supervised": {"model": "classifier"},
    }
    encoders = {f"target_{role}": f"fixed_{role}" for role in heads["td7"] if role.endswith("encoder")}
    averages = {f"target_{role}": role for role in heads[kind] if kind not in NO_REPLAY} | (
        {**encoders, **{fixed: fixed.removeprefix("fixed_") for fixed in encoders.values()}} if kind == "td7" else {}
    )
    if kind in ("sac", "iql", "tdmpc2", "metra"):
        averages = {"target_critic": "critic"}
    networks: dict[str, Any] = {role: {"trunk": trunk, "head": {"kind": head}} for role, head in heads[kind].items()}
    own: dict[str, Any] = {}
    if column == "pixels → numbers" and kind in ("sac", "ddpg", "td3"):
        own = {"pixels": {}}
        networks = {role: {**network, "trunk": VECTORS} for role, network in networks.items()}
        networks |= {
            role: {"trunk": seen, "head": {"kind": "features"}}
            for role, seen in (("encoder", PIXELS), ("projection", VECTORS))
        }
        averages["target_projection"] = "projection"
    if kind == "supervised":
        networks["model"]["head"]["classes"] = 10
    if kind == "dreamer_v3":
        averages = {"slow_critic": "critic"}
        networks |= {role: {**network, "trunk": VECTORS} for role, network in networks.items() if role != "encoder"}
        seen = OBSERVED.get(environment.get("task", environment.get("id")), 8)
        seen = SEEN[environment["kind"]] if column.startswith("pixels") else seen
        networks["decoder"]["trunk"] = {"kind": "linear", "width": seen}
    if kind == "mr_q":
        averages.pop("target_model")
        networks["model"]["trunk"] = {"kind": "linear", "width": 1 + 8 + 65}
    if kind == "metra":
        environment, to_skill = {**environment, "skills": {"size": 2}}, {"kind": "linear", "width": 2}
        networks["representation"]["trunk"] = to_skill if column.startswith("states") else [PIXELS, to_skill]
        networks["actor"]["trunk"] = networks["critic"]["trunk"] = VECTORS
    if kind in ("td3", "td7"):
        networks["critic"]["copies"] = 2
    trained = [*networks, *{"sac": ("temperature",), "metra": ("multiplier", "temperature")}.get(kind, ())]
    length = 8 if kind == "supervised" else 24 * environment.get("action_repeat", 4 if "game" in environment else 1)
    return {
        "name": "cell",
        "seeds": [0],
        "environment": environment,
        "algorithm": {"kind": kind, "batch_size": 4, **own, **SMALL.get(kind, {"warmup_interactions": 8})},
        "networks": networks,
        "averages": {name: {"of": of, "momentum": 0.9} for name, of in averages.items()},
        "optimizers": {role: {"kind": "adam", "learning_rate": 1e-3} for role in trained},
        "training": {"env_steps": length, "log_every": length},
        "evaluation": {"every": length, "episodes": 1},
        "checkpoint": {"every": length},
        "compute": {"compile": "never", "threads": 1},
        "tracking": {"kind": "none"},
        **({} if kind in NO_REPLAY else {"replay": {"capacity": 64}}),
    }


@pytest.mark.parametrize(("kind", "column", "name"), CLAIMED)
def test_an_algorithm_learns_where_the_table_says(kind: str, column: str, name: str, tmp_path: Path) -> None:
    blueprint = composer.compose(**agent(kind, column, ENVIRONMENTS[column][name]))
    try:
        result = composer.train(blueprint, tmp_path)
    except EnvironmentFailure as failure:
        pytest.skip(failure.reason)  # This machine cannot draw.
    assert result.table["updates"] > 0
    assert [each for each in result.table["warnings"] if "nothing is learned" in each["message"]] == []


@pytest.mark.parametrize(("kind", "column"), [(kind, column) for kind, column, names in CELLS if not names])
def test_an_empty_cell_is_refused(kind: str, column: str) -> None:
    for environment in ENVIRONMENTS[column].values():
        with pytest.raises(BlueprintError, match=r"^composed in Python:1:1: environment"):
            composer.compose(**agent(kind, column, environment))


def test_the_table_names_every_algorithm_and_every_environment() -> None:
    from composer.algorithms.base import Algorithm

    assert {kind for kind, _, _ in CELLS} == {kind for kind in Algorithm.kinds() if "/" not in kind}
    assert {column for _, column, _ in CELLS} == set(ENVIRONMENTS)
    assert all(name in ENVIRONMENTS[column] for _, column, name in CLAIMED)
    assert {(column, name) for column, of in ENVIRONMENTS.items() for name in of} == {each[1:] for each in CLAIMED}


def test_the_blueprint_is_the_shipped_one() -> None:
    (text,) = [text for language, text in FENCES if language == "toml" and "blueprint = 1" in text]
    assert text == shipped()["quickstart"].read_text(encoding="utf-8")


def test_the_other_block_is_a_sound_diff_of_it(tmp_path: Path) -> None:
    (text,) = [text for language, text in FENCES if language == "toml" and "blueprint = 1" not in text]
    path = tmp_path / "mine.toml"
    path.write_text(f'blueprint = 1\nextends = "quickstart"\nname = "mine"\ntraining.env_steps = 300_000\n{text}')
    interventions = composer.load(path).interventions
    assert {name: each.do.kind for name, each in interventions.items()} == {"hare": "lerp", "injection": "inject"}
    with pytest.raises(BlueprintError, match="comes after the end of the run"):
        composer.load(path, ["training.env_steps=60_000"])


def test_mistakes_are_reported_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(
        'blueprint = 1\nextends = "quickstart"\nname = "mine"\n\n[networks]\n'
        'actor.trunk = { use = "simba_post", widht = 64, blocks = 1 }\n'
        'critic.trunk = { kind = "sequence", layers = [{ kind = "layernrom" }, { kind = "linear", width = -3 }] }\n'
    )
    (shown,) = [text for language, text in FENCES if language == "console" and "layernrom" in text]
    command, _, expected = shown.partition("\n")
    done = CliRunner().invoke(app, command.removeprefix("$ composer ").split())
    assert (done.exit_code, done.stdout) == (2, expected)


def test_parts_projects_and_targets_are_there() -> None:
    """The part of the example, the named architectures, the versions of Python, the licence, make's targets."""
    text = parts()["simba"]
    assert {"linear", "layer_norm", "relu", "residual"} <= set(re.findall(r"kind\W+(\w+)", _whole("simba"))), text
    for named in ("simba", "simba_v2", "bro", "impala", "resnet18", "vit_tiny", "soft_moe"):
        assert any(name.startswith(named) for name in parts()), named
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["requires-python"], "3.11 (or 3.12)" in TEXT) == (">=3.11,<3.13", True)
    assert f"Licence: {project['license']}" in TEXT and f"`{project['name']}`" in TEXT
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\$ make ([\w-]+)", TEXT)) <= targets
    assert composer.load("quickstart", ["networks.critic.copies=2"]).networks["critic"].copies == 2


def _whole(name: str) -> str:
    """The resolved part, with the parts inside it."""
    return json.dumps(composer.part(name).model_dump(), default=str) + repr(composer.part(name))


TINY = "compute.compile=never tracking.kind=none compute.threads=1 training.log_every=40 checkpoint.every=40"
TRAINED = f"{TINY} evaluation.every=40 evaluation.episodes=1"
SWEPT = "training.env_steps=200 environment.task_updates=20 evaluation.every=20 checkpoint.every=200 seeds=[0]"
SWEPT += " tracking.kind=none compute.compile=never compute.threads=1"
READING = ("list", "new", "show", "metrics", "diff", "explain", "eject", "plan")
COMMANDS: dict[str, str] = {
    "composer list": "",
    "composer new": "",
    "composer export": "--help",
    "composer check": "",
    "composer show": "",
    "composer metrics": "",
    "composer diff": "",
    "composer explain": "",
    "composer eject": "",
    "composer plan": "",
    "composer train dmc/sac_simba": f"training.env_steps=40 algorithm.warmup_interactions=10 {TRAINED}",
    "composer train classic/cartpole_ppo": f"training.env_steps=2048 {TRAINED} training.log_every=2048",
    "composer train atari/drq@small": f"training.env_steps=160 {TRAINED} evaluation.every=160 checkpoint.every=160",
    "composer resume": "RUN",
    "composer evaluate": "RUN --episodes 1",
    "composer sweep plasticity/shuffled_labels --jobs": f"--variants base,l2 {SWEPT}",
    "composer sweep plasticity/shuffled_labels --together": f"--variants base,l2_init {SWEPT}",
    "composer compare runs/a-*": "SWEPT --metric evaluation/accuracy",
    "composer compare runs/sac_simba-*": "--help",
    "composer study plan": "--no-calibrate",
    "composer study run studies/": "STUDY",
    "composer study run mine.toml": "--help",
    "composer ablate": "--plan",
    "composer search": "--help",
    "composer retention": "SWEPT",
    "composer bench": "",
    "composer tabular": "--seeds 1",
}
"""What makes each command of the README a small one. A command that is not here has no test yet; ``bench``, which
compiles for minutes, has its own in tests/studies/test_bench.py; with ``--help`` the options must be known, and what
the command does is tested in tests/studies."""
STUDY = """study = 1
blueprint = "warm_start/digits"
seeds = 3
[axis]
rate = [1e-3, 1e-2]
[set]
"optimizers.model.learning_rate" = "${axis.rate}"
"environment.phases" = [{ updates = 20 }, { updates = 20 }]
"training.env_steps" = 40
"evaluation.every" = 20
"checkpoint.every" = 40
"tracking.kind" = "none"
"compute.compile" = "never"
"""


def commands() -> list[str]:
    lines = "\n".join(text for language, text in FENCES if language == "console").splitlines()
    found = [line[2:].partition("  #")[0].strip() for line in lines if line.startswith("$ composer ")]
    return list(dict.fromkeys(found))


def key_of(command: str) -> str:
    (key,) = [key for key in COMMANDS if command.startswith(key)]
    return key


def small(command: str) -> list[str]:
    """The words of a command of the README, made small."""
    return [*shlex.split(command)[1:], *shlex.split(COMMANDS[key_of(command)])]


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, f"composer {' '.join(words)}\n{done.output}"
    return done.output


def test_every_command_has_its_small_one() -> None:
    for command in commands():
        assert small(command), command


@pytest.mark.parametrize("command", [each for each in commands() if each.split()[1] in READING])
def test_reading_commands_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*shlex.split(command)[1:])
    if "--diagram" in command:
        assert Path("nets.svg").stat().st_size > 1_000


@pytest.mark.slow
@pytest.mark.parametrize("command", [each for each in commands() if each.split()[1] in ("train", "tabular")])
def test_commands_that_train_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone runs README's training commands, on their own blueprints, for a few updates."""
    monkeypatch.chdir(tmp_path)
    output = run(*small(command))
    if "--profile" in command:
        assert "update" in output
    if command.startswith("composer train dmc"):
        (path,) = Path("runs").iterdir()
        assert json.loads((path / "run.json").read_text())["seeds"] == [0, 1, 2]


ON_STUDIES = [each for each in commands() if COMMANDS[key_of(each)] in ("--help", "--plan", "--no-calibrate")]


@pytest.mark.parametrize("command", ON_STUDIES)
def test_commands_that_plan_studies_answer(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*small(command))


@pytest.mark.slow
def test_a_study_runs_and_concludes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone runs README's command on a study file, in small, and reads how it ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Path("mine.toml").write_text(STUDY)
    (command,) = (each for each in commands() if COMMANDS[key_of(each)] == "STUDY")
    words = ["mine.toml" if word.startswith("studies/") else word for word in shlex.split(command)[1:]]
    said = run(*words)
    assert "2 finished of 2 runs" in said and "report: studies/mine/" in said and "rate=0.001" in said
    assert Path("studies/mine/report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_commands_on_runs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone runs README's commands on a run: to its end again, evaluated, filmed where this machine can draw."""
    monkeypatch.chdir(tmp_path)
    run("train", "quickstart", "training.env_steps=40", "algorithm.warmup_interactions=5", *TRAINED.split())
    (path,) = Path("runs").iterdir()
    by_name = {command.split()[1]: command for command in commands()}
    run(*(str(path) if word in ("runs/...", "RUN") else word for word in shlex.split(by_name["resume"])[1:]))
    words = [str(path) if word in ("runs/...", "RUN") else word for word in small(by_name["evaluate"])]
    done = CliRunner().invoke(app, [*dict.fromkeys(words)])
    assert done.exit_code == 0 or "cannot draw" in done.output
    assert done.exit_code or Path("out.mp4").stat().st_size > 100


@pytest.mark.slow
def test_commands_on_studies_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone runs README's studies in small: sweeps, what is finished is not repeated, a comparison, retention."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    jobs, together = (each for each in commands() if each.split()[1] == "sweep")
    run(*small(jobs))
    assert "finished before" in run(*small(jobs))
    run(*small(together))
    swept = sorted(map(str, Path("runs").glob("shuffled-labels-*")))
    assert len(swept) == 3
    run("compare", *swept, "--metric", "evaluation/accuracy", "--plot", "curves.png")
    assert Path("curves.png").stat().st_size > 1_000
    run("retention", *swept)
