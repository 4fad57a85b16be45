"""``composer doctor``: three verdicts, what is injected, forks in pairs, and a network that did lose its plasticity."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import DRIFT, TINY, finished, last_json, rows, state_digest
from typer.testing import CliRunner

from composer import api
from composer.blueprint import Blueprint, load
from composer.cli import app
from composer.diagnostics import DistanceToInit
from composer.networks.network import Network
from composer.studies import Refused
from composer.studies.doctor import beforehand, forks, verdict
from composer.studies.doctor.examine import examine, text
from composer.studies.doctor.site import behind_encoder, site
from composer.studies.doctor.verdict import diagnose, flips, interval
from composer.studies.measure_run import measure
from composer.training import launch

SHUFFLED = Path(__file__).parents[2] / "blueprints" / "plasticity" / "shuffled_labels.toml"
QUICK = ("tracking.kind='none'", "compute.compile='never'")
SMALL = (
    *QUICK,
    "seeds=[3, 8]",
    "environment.data.samples=40",
    "environment.task_updates=8",
    "algorithm.batch_size=10",
    "networks.model.trunk={ use = 'mlp', width = 8, depth = 2 }",
    "training={ env_steps = 20, log_every = 1 }",
    "evaluation.every=4",
    "checkpoint={ every = 10, keep = 3 }",
)


def quiet(line: str) -> None:
    """Nobody listens."""


def examined(run: Path, out: Path, *where: str, at: int | None = None, branches: int = 3) -> dict[str, Any]:
    return examine(run, at, branches, 8, where, out, quiet)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty batches of tasks of eight, two seeds; checkpoints at 10 and 20."""
    return api.train(load(SHUFFLED, SMALL).blueprint, tmp_path_factory.mktemp("runs")).path


@pytest.fixture(scope="module")
def table(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An examination in the middle of the second task."""
    return examined(trained, tmp_path_factory.mktemp("doctor"), at=10)


def gains(seeds: int, branches: int, mean: float, spread: float = 1.0, seed: int = 0) -> np.ndarray:
    values: np.ndarray = np.random.default_rng(seed).normal(mean, spread, (seeds, branches))
    return values


def test_three_verdicts() -> None:
    plain = np.full((5, 2), 10.0)
    assert diagnose(plain, plain + gains(5, 2, 3.0)).verdict == "losing plasticity"
    told = diagnose(plain, plain + gains(5, 2, 0.0, 0.1))
    assert told.verdict == "not losing plasticity" and -told.margin <= told.gain.low and told.gain.high <= told.margin
    wide = diagnose(plain, plain + gains(5, 2, 0.5, 4.0))
    assert wide.gain.low < 0 and wide.gain.high > 1.0 and wide.verdict == "cannot tell"
    assert diagnose(plain[:2], plain[:2] + 3.0).verdict == "cannot tell", "four pairs, all of which gain"
    assert diagnose(plain[:, :1], plain[:, :1] + 3.0).verdict == "losing plasticity", "five"
    assert np.isnan(diagnose(plain[:1, :1], plain[:1, :1]).gain.low)


def test_what_shows_nothing_is_not_told_as_no_loss() -> None:
    plain = np.full((5, 2), 10.0)
    # No gain of any pair: no update between fork and horizon, or a score that cannot rise.
    for bounds, why in (((0.0, 1000.0), "no pair differs"), ((0.0, 10.0), "the highest possible score, 10")):
        told = diagnose(plain, plain, bounds)
        assert told.verdict == "cannot tell" and why in told.why
    worse = diagnose(plain, plain + gains(5, 2, -3.0))
    assert worse.verdict == "cannot tell" and "make it worse" in worse.why
    assert diagnose(np.zeros((5, 2)), gains(5, 2, 0.0, 1e-6)).verdict == "cannot tell", "a tenth of a score of 0"
    small = diagnose(plain, plain + gains(5, 2, 0.9, 0.05))
    assert small.verdict == "losing plasticity" and small.gain.high < small.margin, "small, and above 0"


def test_the_test_of_signs_in_closed_form() -> None:
    assert flips(np.ones((5, 1))) == 1 / 32, "only one toss of five signs is as good"
    assert flips(np.array([[1.0, 2.0, -3.0]])) == 5 / 8, "sums of +-1 +-2 +-3 that are 0 or more"
    assert flips(np.zeros((2, 3))) == 1.0
    many = flips(np.ones((4, 5)))
    assert many == pytest.approx(1 / (1 + verdict.REPETITIONS)), "drawn, and never nothing"
    assert flips(gains(4, 5, 0.0, seed=3)) + flips(-gains(4, 5, 0.0, seed=3)) == pytest.approx(1, abs=0.02)


def test_branches_are_not_as_good_as_seeds() -> None:
    """Where seeds differ and branches hardly do, more branches narrow nothing."""
    between = gains(5, 1, 0.0)
    alone, repeated = interval(between), interval(np.repeat(between, 40, 1))
    assert alone.low < alone.value < alone.high
    assert repeated.high - repeated.low == pytest.approx(alone.high - alone.low, rel=0.02)
    within = interval(gains(1, 10, 0.0))
    assert within.low < within.value < within.high, "one seed is judged by its branches"


@pytest.mark.parametrize(("seeds", "branches"), [(5, 2), (1, 10), (10, 1)])
def test_no_loss_is_told_as_one_at_most_one_time_in_twenty(
    seeds: int, branches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "REPETITIONS", 500)
    plain = np.full((seeds, branches), 10.0)
    told = [diagnose(plain, plain + gains(seeds, branches, 0.0, seed=n)).verdict for n in range(300)]
    assert told.count("losing plasticity") <= 0.05 * 300 + 2 * (300 * 0.05 * 0.95) ** 0.5
    found = [diagnose(plain, plain + gains(seeds, branches, 2.0, seed=n)).verdict for n in range(50)]
    assert found.count("losing plasticity") > 45


def blueprint(*overrides: str, path: Path = TINY) -> Blueprint:
    return load(path, overrides, is_to_run=False).blueprint


def test_what_is_injected_is_everything_behind_the_encoder() -> None:
    assert site(blueprint(), ()) == ("critic", ("critic.trunk.1.*", "critic.trunk.2.*", "critic.head.*"))
    layers = [f"model.trunk.{number}.*" for number in (1, 2, 3)]
    assert site(blueprint(path=SHUFFLED), ()).globs == (*layers, "model.head.*")
    assert site(blueprint("networks.critic.trunk={ kind = 'linear', width = 9 }"), ()).globs == ("critic.head.*",)
    assert site(blueprint(), ["actor.head.*"]).role == "actor"


@pytest.mark.parametrize(
    ("trunk", "globs"),
    [
        # The paper's own case: convolutions are the encoder, the dense layers the head.
        ('[CONV, RELU, CONV, { kind = "flatten" }, DENSE, RELU, DENSE]', ["4", "6"]),
        ('[CONV, { kind = "flatten" }, RELU]', []),
        ("[DENSE, NORM, RELU, DENSE, RELU]", ["1", "3"]),
        ("[NORM, DENSE, RELU]", []),
        ("[{ kind = 'residual', block = [RELU, DENSE] }, DENSE]", ["1"]),
        ("DENSE", []),
    ],
)
def test_the_encoder_ends_where_features_are_vectors(trunk: str, globs: list[str]) -> None:
    for name, block in {
        "CONV": '{ kind = "conv", width = 4, kernel = 3 }', "RELU": '{ kind = "relu" }',
        "DENSE": '{ kind = "linear", width = 9 }', "NORM": '{ kind = "layer_norm" }',
    }.items():  # fmt: skip
        trunk = trunk.replace(name, block)
    network = Network.model_validate(tomllib.loads(f"trunk = {trunk}\nhead = {{ kind = 'scalar' }}"))
    outline = network.outline((3, 8, 8) if "conv" in trunk else (9,), 1)
    assert list(behind_encoder("q", outline)) == [*(f"q.trunk.{name}.*" for name in globs), "q.head.*"]


def test_what_cannot_be_injected_is_told(trained: Path, tmp_path: Path) -> None:
    injection = (
        "interventions.now={ when = { kind = 'at', steps = [2] }, where = ['model.head.*'], do = { kind = 'inject' } }"
    )
    with pytest.raises(Refused, match=r"interventions\.now injects 'model' already: examine a run without it"):
        site(blueprint(injection, path=SHUFFLED), ())
    with pytest.raises(Refused, match=r"interventions\.doctor: the run has an intervention of that name"):
        site(blueprint(injection.replace("now=", "doctor=").replace("'inject'", "'nothing'"), path=SHUFFLED), ())
    for where, message in (("model.hed.*", "did you mean"), ("model.trunk.0.*", "choose whole layers")):
        found = CliRunner().invoke(app, ["doctor", str(trained), "--where", where, "--out", str(tmp_path), "--json"])
        assert found.exit_code == 2 and message in last_json(found.stdout)["message"]
    assert list(tmp_path.iterdir()) == [], "nothing has been trained"


def test_forks_of_a_pair_share_their_random_numbers(table: dict[str, Any]) -> None:
    def losses(arm: str, branch: int) -> dict[tuple[int, int], float]:
        found = rows(Path(table["forks"][arm][branch]))
        return {
            (row["seed"], row["env_step"]): row["metrics"]["model/loss"]
            for row in found
            if row["type"] == "metrics" and "model/loss" in row["metrics"]
        }

    for branch in range(3):
        plain, injected = losses("plain", branch), losses("injected", branch)
        for seed in (3, 8):
            # Fresh weights come after the first batch, and change no output then: the second loss is the same too.
            assert plain[seed, 11] == injected[seed, 11]
            assert plain[seed, 12] == pytest.approx(injected[seed, 12], rel=1e-5)
            assert plain[seed, 18] != injected[seed, 18]
    one, other = losses("plain", 0), losses("plain", 1)
    assert all(one[key] != other[key] for key in one)


def test_branch_0_goes_on_as_the_run_did(trained: Path, table: dict[str, Any]) -> None:
    def accuracies(path: Path) -> list[tuple[int, int, float]]:
        return [
            (row["env_step"], row["seed"], row["metrics"]["evaluation/accuracy"])
            for row in rows(path)
            if row["type"] == "metrics" and "evaluation/accuracy" in row["metrics"] and 10 < row["env_step"] < 18
        ]

    assert accuracies(Path(table["forks"]["plain"][0])) == accuracies(trained) != []


def test_the_table_is_what_the_forks_hold(trained: Path, table: dict[str, Any]) -> None:
    assert [(pair["seed"], pair["branch"]) for pair in table["pairs"]] == [(s, b) for s in (3, 8) for b in range(3)]
    for pair in table["pairs"]:
        for arm in ("plain", "injected"):
            found = [
                row["metrics"]["evaluation/accuracy"]
                for row in rows(Path(table["forks"][arm][pair["branch"]]))
                if row["type"] == "metrics" and row["seed"] == pair["seed"] and "evaluation/accuracy" in row["metrics"]
            ]
            # Evaluations at 12, 16 and, the last, 18: trapezoids.
            assert pair[arm] == pytest.approx((4 * (found[0] + found[1]) / 2 + 2 * (found[1] + found[2]) / 2) / 6)
    mean = np.mean([pair["injected"] - pair["plain"] for pair in table["pairs"]])
    assert table["gain"]["value"] == pytest.approx(mean)
    assert (table["env_step"], table["horizon"], table["network"]) == (10, 8, "model")
    assert table["where"] == ["model.trunk.1.*", "model.head.*"]
    folder = Path(table["report"]).parent
    report = json.loads((folder / "doctor.json").read_text())
    assert report == {key: value for key, value in table.items() if key not in ("report", "picture")}
    assert (folder / "doctor.png").read_bytes().startswith(b"\x89PNG")
    proxies = table["proxies"]
    assert {"dormant_ratio_0.1.v1", "srank.v1", "parameter_norm.v1"} <= proxies.keys()
    assert all(len(sides["birth"]) == len(sides["now"]) == 2 for sides in proxies.values())
    assert proxies["parameter_norm.v1"]["birth"] != proxies["parameter_norm.v1"]["now"]
    shown = text(table)
    assert shown.startswith(table["sentence"]) and "srank.v1" in shown
    assert "note: the run has 2 agents: the answer holds for them" in shown


def test_an_untrained_network_is_the_first_draw(trained: Path) -> None:
    birth, now = (measure(trained, [DistanceToInit()], untrained=untrained) for untrained in (True, False))
    for seed in (3, 8):
        assert all(birth[seed][name] == 0 < value for name, value in now[seed].items())


def test_penalties_and_interventions_on_what_is_injected_are_told(tmp_path: Path) -> None:
    pull = "penalties.pull={ kind = 'l2', where = ['model.head.*'], coefficient = 1e-3 }"
    reset = (
        "interventions.first={ when = { kind = 'at', steps = [1] }, where = ['model.trunk.0.*'], "
        "do = { kind = 'nothing' } }"
    )
    short = ("training={ env_steps = 2, log_every = 1 }", "checkpoint.every=2", "evaluation.every=1")
    run = api.train(load(SHUFFLED, [*SMALL, *short, pull, reset]).blueprint, tmp_path).path
    notes = examine(run, None, 3, 2, (), None, quiet)["notes"]
    (told,) = [note for note in notes if "does not reach" in note]
    assert told.startswith("penalties.pull does not reach the fresh weights")


def test_finished_forks_are_not_trained_again(
    trained: Path, table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, made = Path(table["report"]).parent, []
    fork = launch.fork

    def counted(*arguments: Any, **keys: Any) -> Any:
        made.append(arguments[3])
        return fork(*arguments, **keys)

    monkeypatch.setattr(forks.launch, "fork", counted)
    assert examined(trained, folder, at=10) == table
    assert made == []
    more = examined(trained, folder, at=10, branches=4)
    assert made == [3, 3] and more["forks"]["plain"][:3] == table["forks"]["plain"]
    examined(trained, folder, "model.head.*", at=10)
    assert made == [3, 3, 0, 1, 2], "another injection; the plain forks are there"


def test_the_command_on_an_acting_agent(tmp_path: Path) -> None:
    """SAC in an environment: the critic is injected, its target follows, and the replay is there."""
    short = ("training.env_steps=120", "evaluation.every=20", "evaluation.episodes=1", "checkpoint.every=60")
    run, _ = finished(tmp_path, DRIFT, "seeds=[0, 5]", *short)
    before = state_digest(run)
    arguments = ["doctor", str(run), "--branches", "3", "--horizon", "20", "--json"]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.stderr
    answer = last_json(found.stdout)
    assert (answer["metric"], answer["network"], answer["env_step"]) == ("evaluation/return", "critic", 120)
    assert answer["verdict"] in ("losing plasticity", "not losing plasticity", "cannot tell")
    assert answer["updates"] == 19 and answer["interval"] == "95% t interval over the branches of each seed"
    assert Path(answer["picture"]).parent == tmp_path / f"doctor-{run.name}-120"
    (event,) = [
        row for row in rows(Path(answer["forks"]["injected"][0])) if row.get("name") == "doctor" and row["seed"] == 5
    ]
    assert event["at"] == {"interaction": 121} and event["output_change"] <= 1e-6
    assert state_digest(run) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        # The case of the report, forks without an update, and its siblings.
        (("--branches", "5", "--horizon", "1"), "no update is made with the fresh weights: the first comes at"),
        (("--branches", "2"), "4 pairs of forks (2 seeds, --branches 2) are too few for any answer"),
        (("--branches", "1", "--horizon", "20"), "use --branches 3 or more. Nothing was trained"),
        (("--horizon", "0"), "the horizon must be one environment step or more, got 0"),
        (("--branches", "0"), "0 pairs of forks"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_anything_is_trained(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    short = ("training.env_steps=120", "evaluation.every=60", "evaluation.episodes=1", "checkpoint.every=60")
    run, _ = finished(tmp_path, DRIFT, "seeds=[0, 5]", *short)
    found = CliRunner().invoke(app, ["doctor", str(run), *arguments, "--out", str(tmp_path / "out"), "--json"])
    assert found.exit_code == 2
    assert said in found.stderr and said in last_json(found.stdout)["message"]
    assert not (tmp_path / "out").exists()


LATER = "where = ['critic.*'], do = { kind = 'lerp', toward.kind = 'fresh' } }"


@pytest.mark.slow
def test_interventions_after_the_horizon_are_left_out_of_the_forks(tmp_path: Path) -> None:
    """Alone forks a run of many interventions in pairs: seven runs."""
    short = ("training.env_steps=160", "evaluation.every=20", "evaluation.episodes=1", "checkpoint.every=60")
    when = {
        "listed": "{ kind = 'at', steps = [20, 70, 150], clock = 'env' }",
        "late": "{ kind = 'every', interval = 140, clock = 'env' }",
        "past": "{ kind = 'at', steps = [10, 155], clock = 'env' }",
        "metric": "{ kind = 'crossing', metric = 'evaluation/return', below = 1e9, patience = 7, clock = 'env' }",
        "kept": "{ kind = 'every', interval = 25, clock = 'env' }",
    }
    overrides = [f"interventions.{name}={{ when = {trigger}, {LATER}" for name, trigger in when.items()]
    run, _ = finished(tmp_path, DRIFT, "seeds=[0, 5]", "checkpoint.keep=9", *short, *overrides)
    answer = examine(run, 60, 3, 40, (), tmp_path / "out", quiet)
    for fork in (*answer["forks"]["plain"], *answer["forks"]["injected"]):
        found = load(Path(fork) / "blueprint.toml").blueprint
        assert found.interventions.keys() - {"doctor"} == {"listed", "kept"}
        fired = {(row["name"], row["env_step"]) for row in rows(Path(fork)) if row["type"] == "event"}
        assert {("listed", 70), ("kept", 75), ("kept", 100)} <= fired


def test_a_fork_within_the_warm_up_is_refused(tmp_path: Path) -> None:
    short = ("training.env_steps=120", "evaluation.every=20", "evaluation.episodes=1", "checkpoint.every=30")
    run, _ = finished(tmp_path, DRIFT, "checkpoint.keep=9", "algorithm.warmup_interactions=80", *short)
    with pytest.raises(Refused, match=r"the first comes at environment step 81, .* use --horizon 71 or more"):
        examine(run, 30, 5, 40, (), tmp_path / "out", quiet)
    with pytest.raises(Refused, match=r"the horizon must be one environment step or more, got 0"):
        examine(run, None, 5, 0, (), tmp_path / "out", quiet)
    assert not (tmp_path / "out").exists()
    assert beforehand.branches_needed(1) == 5 and beforehand.branches_needed(2) == 3
    assert [beforehand.branches_needed(seeds) for seeds in (3, 4, 5, 9)] == [2, 2, 1, 1]


LOST = (
    *QUICK,
    "optimizers.model.learning_rate=1e-2",
    "environment.data.samples=200",
    "environment.task_updates=80",
    "training={ env_steps = 800, log_every = 800 }",
    "evaluation.every=80",
    "checkpoint.every=800",
)


@pytest.mark.slow
def test_a_network_that_lost_its_plasticity_is_told_from_one_that_did_not(tmp_path: Path) -> None:
    """At ten times the blueprint's learning rate accuracy falls within ten tasks; with labels that stay it does not."""
    answers = {}
    for variant in (None, "stationary"):
        run = api.train(load(SHUFFLED, LOST, variant).blueprint, tmp_path, variant=variant).path
        answers[variant] = examine(run, None, None, 240, (), None, quiet)
    assert answers[None]["verdict"] == "losing plasticity" and answers[None]["gain"]["low"] > 0
    assert answers["stationary"]["verdict"] == "cannot tell"
    assert "every fork has the highest possible score, 1" in answers["stationary"]["sentence"]
    dead = answers[None]["proxies"]["dead_unit_ratio.v1"]
    assert np.mean(dead["now"]) > np.mean(dead["birth"])
