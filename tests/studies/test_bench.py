"""``composer bench``: which updates are timed, and what the table says. No time is judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_runs import DRIFT, TINY, tiny
from typer.testing import CliRunner

from composer.cli import app
from composer.studies import Refused
from composer.studies import bench as benching
from composer.studies.bench import bench, seed_counts, text
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.timing import Lap


def timed(monkeypatch: pytest.MonkeyPatch, rates: dict[tuple[int, bool], float]) -> None:
    """Let each alternative make as many calls per second as given, one round faster and one slower."""
    real, made = benching.update_of, {}

    def update_of(blueprint: Any, seeds: int, device: str, compiled: bool) -> Callable[[], object]:
        call = real(blueprint, seeds, device, compiled=False)
        made[call] = [factor * rates[seeds, compiled] for factor in (99, 1, 1, 1, 2, 0.5)]
        return call

    def lap(call: Callable[[], object], *_: object) -> Lap:
        call()
        return Lap(round(1_000 * made[call].pop(0)), 1_000.0)

    monkeypatch.setattr(benching, "update_of", update_of)
    monkeypatch.setattr(benching, "lap", lap)


def test_each_number_of_seeds_is_timed_eagerly_and_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benching, "choose", lambda *_: Choice(True, "possible"))
    timed(monkeypatch, {(1, False): 10.0, (1, True): 40.0, (2, False): 8.0, (2, True): 30.0})
    said: list[str] = []
    table = bench(tiny(DRIFT, "compute.compile=never", "training.env_steps=120"), (1, 2), 1.0, said.append)
    updates = table["updates_of_a_run"]
    assert updates > 0 and table["not_compiled"] is None
    assert [(row["seeds"], row["compiled"]) for row in table["rows"]] == [(1, False), (1, True), (2, False), (2, True)]
    last = table["rows"][-1]
    assert last == {
        "seeds": 2, "compiled": True, "updates_per_second": 30.0, "lowest": 15.0, "highest": 60.0,
        "agent_updates_per_second": 60.0, "times_first": 6.0, "seconds_of_a_run": updates / 30,
    }  # fmt: skip
    assert said[:2] == ["eager update of 1 seed: first call", "compiled update of 1 seed: first call"]
    assert said[4:6] == ["warming up", "round 1 of 5"]
    assert "compiled         30  15 to 60" in text(table) and "6.00x" in text(table)
    assert "measure again on an idle machine" in text(table)
    for row in table["rows"]:
        row["lowest"] = row["highest"] = row["updates_per_second"]
    assert "idle" not in text(table)


def test_a_call_of_several_updates_counts_as_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benching, "choose", lambda *_: Choice(False, "no compiler"))
    timed(monkeypatch, {(1, False): 10.0})
    several = tiny(DRIFT, "compute.updates_per_call=3", "algorithm.update_to_data=3")
    table = bench(several, (1,), 1.0, lambda _: None)
    assert table["rows"][0]["updates_per_second"] == 30.0
    assert text(table).endswith("the compiled update was not measured: no compiler")


def test_the_timed_update_is_that_of_the_blueprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """All seeds are updated by one call, and a compiled one is captured as such."""
    choices: list[Choice] = []

    def learner(agent: Any, device: str, choice: Choice) -> Learner:
        choices.append(choice)
        return Learner(agent, device, Choice(False, "a test"))

    monkeypatch.setattr(benching, "Learner", learner)
    benching.update_of(tiny(DRIFT), 1, "cpu", compiled=True)
    call = benching.update_of(tiny(DRIFT), 3, "cpu", compiled=False)
    agent = call.func.__self__  # type: ignore[attr-defined]
    assert agent.seeds == (0, 1, 2) and torch.equal(agent.updates, torch.ones(3).double())
    assert [choice.compiled for choice in choices] == [True, False]
    call()
    assert torch.equal(agent.updates, torch.full((3,), 2.0).double())


@pytest.mark.parametrize(
    "name", ["classic/cartpole_ppo", "atari/rainbow", "atari/drq", "classic/pendulum_td3", "plasticity/shuffled_labels"]
)
def test_every_family_of_algorithms_can_be_timed(name: str) -> None:
    from composer.blueprint import load
    from composer.blueprint.syntax.extends import shipped

    benching.update_of(load(shipped()[name], is_to_run=False).blueprint, 1, "cpu", compiled=False)


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    arguments = ["bench", str(TINY), DRIFT, "--seeds", "1,2", "--seconds", "0.01", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    table = json.loads(result.stdout)
    assert [row["seeds"] for row in table["rows"]] == [1, 2]
    assert table["not_compiled"] == "no C++ compiler was found (no-such-compiler)"
    assert "tiny on cpu" in result.stderr
    refused = CliRunner().invoke(app, ["bench", str(TINY), DRIFT, "--seeds", "1,many"])
    assert refused.exit_code == 2 and 'got "1,many"' in refused.stderr


def test_numbers_of_seeds() -> None:
    assert seed_counts("4, 1,4") == (4, 1)
    for wrong in ("", "0", "1,x", "65", "-1"):
        with pytest.raises(Refused, match="--seeds takes numbers of seeds from 1 to 64"):
            seed_counts(wrong)
