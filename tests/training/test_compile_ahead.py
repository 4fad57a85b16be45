"""Compiling beside a run that trains: the switch, its record, failures; and where compiled code is kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import DRIFT, begin, interactions, learner, rows, tiny

from composer.blueprint.forecast.program_key import program_key
from composer.training import assemble
from composer.training.assemble import make_session
from composer.training.assemble.compile_process import compile_update
from composer.training.assemble.side_by_side import NewRun
from composer.training.compile import cache as caching
from composer.training.compile import capture
from composer.training.compile_ahead import BackgroundCompiler, example
from composer.training.learner import Learner
from composer.training.runs.directory import read_blueprint
from composer.training.start_lines import compilation_text

QUICK = "compute.compile=background"
SMALL = (
    "networks.critic.copies=1",
    *(f"networks.{role}.trunk={{ kind = 'linear', width = 4 }}" for role in ("actor", "critic")),
    *(f"optimizers.{role}={{ kind = 'sgd', learning_rate = 1e-3 }}" for role in ("actor", "critic", "temperature")),
)
"""An update that compiles quickly."""


class Told:
    """Stands in the place of the process that compiles: says what it is told to."""

    def __init__(self, *outcomes: str | None) -> None:
        self.outcomes, self.closed = list(outcomes), False

    def problem(self) -> str | None:
        return self.outcomes.pop(0)

    def close(self) -> None:
        self.closed = True


def drive(tmp_path: Path, ahead: Told, captured: list[bool], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setattr(make_session, "BackgroundCompiler", lambda run, device: ahead)
    run, parts = begin(tmp_path, DRIFT, QUICK, "training.env_steps=120", "training.log_every=20")
    assert run.facts["compiled"] is False and "another process" in run.facts["compile_reason"]
    monkeypatch.setattr(parts.learner, "recapture", lambda choice: captured.append(choice.compiled))
    for _ in interactions(parts):
        if parts.clock.due(20):
            parts.switch_to_compiled()
    parts.close()
    run.close()
    return [row for row in rows(run.path) if row["type"] == "event"]


def test_a_run_goes_over_when_the_other_process_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captured: list[bool] = []
    (event,) = drive(tmp_path, Told(None, None, ""), captured, monkeypatch)
    assert captured == [True]
    assert event["name"] == "compiled" and event["env_step"] == 60 and event["update"] == 10 and "failed" not in event


def test_auto_compiles_beside_a_run_whose_numbers_may_change_and_so_does_its_continuation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Declared, such a run has another hash than one that stays eager; a program of several runs is not switched."""
    begun: list[Path] = []
    monkeypatch.setattr(make_session, "BackgroundCompiler", lambda run, device: begun.append(run) or Told())
    monkeypatch.setattr(capture, "COLD_COMPILE_UPDATES", 4)
    monkeypatch.setattr(capture, "missing_for_compiling", lambda: None)
    monkeypatch.setattr(capture, "compiler_problem", lambda: "no space left")
    declared = (DRIFT, "compute.compile=auto", "compute.reproducible=false", "tracking.kind=none")
    run, parts = begin(tmp_path, *declared)
    eager, others = begin(tmp_path, DRIFT, "compute.compile=never", "tracking.kind=none")
    hashes, reason = (run.facts["hash"], eager.facts["hash"]), compilation_text(run)
    for each in (parts, others, run, eager):
        each.close()
    assert begun == [run.path] and hashes[0] != hashes[1]
    assert reason.startswith("eager: until another process has compiled it: ") and "reproducible is false" in reason
    resumed, parts, _ = assemble.resume(run.path)
    parts.close()
    resumed.close()
    assert begun == [run.path] * 2
    pair = [NewRun(name, tiny(*declared)) for name in ("one", "two")]
    for each in assemble.start_together(pair, tmp_path / "together").runs:
        assert "could not be compiled" in each.run.facts["compile_reason"] and begun == [run.path] * 2
        each.session.close()
        each.run.close()


def test_a_run_stays_eager_where_compiling_failed_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captured: list[bool] = []
    (event,) = drive(tmp_path, Told("no space left"), captured, monkeypatch)
    assert not captured and event["failed"] == "no space left" and event["env_step"] == 20


def test_a_run_that_ends_first_ends_the_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = Told(*[None] * 10)
    assert drive(tmp_path, ahead, [], monkeypatch) == []
    assert ahead.closed


def test_the_other_process_compiles_under_the_precision_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled code is cached by it too: under another one the run would not find it."""
    run, parts = begin(tmp_path, DRIFT, "tracking.kind=none", "compute.precision=tf32")
    parts.close()
    run.close()
    seen: list[str] = []
    monkeypatch.setenv(caching.CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(Learner, "update", lambda *_: seen.append(torch.get_float32_matmul_precision()))
    torch.set_float32_matmul_precision("highest")
    compile_update(run.path, "cpu")
    torch.set_float32_matmul_precision("highest")
    assert seen == ["high"]


@pytest.mark.slow
def test_what_went_wrong_is_the_end_of_its_log(tmp_path: Path) -> None:
    """Alone starts the other process where it must fail."""
    ahead = BackgroundCompiler(tmp_path, "cpu")  # There is no run in this folder.
    ahead._process.wait()
    found = ahead.problem()
    assert found and "is no run directory" in found
    ahead.close()


@pytest.mark.slow
def test_what_another_process_compiled_is_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone compiles in the other process for real: its code is on disk, and a second process finds all of it."""
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr(caching, "_chosen", None)
    monkeypatch.setenv(caching.CACHE, str(tmp_path / "cache"))
    run, parts = begin(tmp_path, 'environment={ kind = "dm_control", task = "cartpole-swingup" }', QUICK, *SMALL)
    key = program_key(read_blueprint(run.path), "cpu")
    assert parts.compiler is not None and not caching.is_warm(key)
    parts.compiler._process.wait()
    assert parts.compiler.problem() == ""
    assert caching.is_warm(key)
    folder = caching.cache_directory(key)
    compiled = {path.name for path in folder.rglob("*.so")}
    second = BackgroundCompiler(run.path, "cpu")  # Another process of the same program finds all of it.
    second._process.wait()
    assert second.problem() == ""
    assert compiled and {path.name for path in folder.rglob("*.so")} == compiled
    parts.switch_to_compiled()
    assert parts.compiler is None
    parts.close()
    run.close()
    assert [row["name"] for row in rows(run.path) if row["type"] == "event"] == ["compiled"]


def test_a_program_has_a_folder_of_its_own_unless_inductor_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr(caching, "_chosen", None)
    monkeypatch.setenv(caching.CACHE, str(tmp_path))
    plain, wide = (program_key(tiny(DRIFT, *more), "cpu") for more in ((), ("algorithm.batch_size=8",)))
    caching.use_cache(plain)
    first = os.environ["TORCHINDUCTOR_CACHE_DIR"]
    assert first == str(caching.cache_directory(plain)) and Path(first).parent == tmp_path
    caching.use_cache(wide)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] not in (first, "")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    caching.use_cache(plain)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "elsewhere"


@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_bfloat16_is_close_to_float32_and_state_stays_float32(precision: str) -> None:
    exact, other = learner(), learner(f"compute.precision={precision}")
    info = tiny(DRIFT).environment.info
    arguments = example(exact, info)
    random = torch.Generator().manual_seed(0)
    arguments[0].observation.normal_(generator=random)
    arguments[0].reward.normal_(generator=random)
    for agent in (exact, other):
        for _ in range(5):
            agent.update(*arguments)
    apart = 0.0
    for (name, ours), theirs in zip(other.tensors().items(), exact.tensors().values(), strict=True):
        assert ours.dtype == theirs.dtype
        if name.startswith("networks/"):
            apart = max(apart, float((ours - theirs).detach().abs().max()))
    # Five Adam steps of 1e-3 move a weight by 5e-3 at most; signs of the smallest gradients may differ.
    assert apart == 0 if precision == "float32" else 0 < apart < 1.01e-2
    losses = [agent.drain_signals()[0]["critic/loss"] for agent in (exact, other)]
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)
