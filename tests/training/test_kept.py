"""Programs that are kept whole: equal to traced ones to the bit, loaded without tracing, only where they fit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_runs import DRIFT, begin, finished, go_on, learner, state_digest, stopped, tiny, transitions
from torch import Tensor

from composer.tracking.console import Console
from composer.training import assemble
from composer.training.assemble import kept_programs, make_session
from composer.training.assemble.kept_programs import keep_programs, read_by_updates
from composer.training.assemble.process import choose_compilation
from composer.training.compile import capture
from composer.training.compile.capture import Choice
from composer.training.compile.kept import MOST_KEPT, KeptProgram, KeptPrograms, drop_oldest
from composer.training.learner import Learner
from composer.training.loop import first_update

SMALL = (
    "networks.critic.copies=1",
    *(f"networks.{role}.trunk={{ kind = 'linear', width = 4 }}" for role in ("actor", "critic")),
    *(f"optimizers.{role}={{ kind = 'sgd', learning_rate = 1e-3 }}" for role in ("actor", "critic", "temperature")),
)
"""An update that compiles quickly."""
COMPILED = Choice(True, "a test")


def keeping(folder: Path, *overrides: str, said: list[str] | None = None) -> Learner:
    """A learner whose programs are kept in a folder."""
    agent = learner(*SMALL, *overrides)
    say: Callable[[str], None] = print if said is None else said.append
    agent.kept = KeptPrograms(folder, "digest", partial(read_by_updates, agent), say)
    agent.recapture(COMPILED)
    return agent


def three_updates(agent: Learner) -> dict[str, Tensor]:
    """All tensors of the agent after three updates on different batches."""
    for number in range(3):
        agent.update(transitions(agent, number))
    return {name: value.detach().clone() for name, value in read_by_updates(agent).items()}


def refuse_to_trace(*_: Any, **__: Any) -> None:
    raise AssertionError("it is traced")


@pytest.mark.slow
def test_a_loaded_program_equals_the_kept_one_and_a_damaged_file_is_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone compiles."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    kept = three_updates(keeping(tmp_path))
    monkeypatch.setattr(torch, "compile", refuse_to_trace)
    second = keeping(tmp_path)
    loaded = three_updates(second)
    assert second.kept is not None and second.kept.loaded == ["compute_update"]
    torch.testing.assert_close(loaded, kept, rtol=0.0, atol=0.0, equal_nan=True)
    assert loaded["updates"].item() == 3.0

    (program,) = tmp_path.glob("*.bin")
    whole, traced = program.read_bytes(), []
    monkeypatch.setattr(torch, "compile", lambda function, **_: traced.append(function.__name__) or function)
    said: list[str] = []
    for damage in (whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1])):
        program.write_bytes(damage)
        three_updates(keeping(tmp_path, said=said))
    assert traced == ["compute_update"] * 2 and all("its file is damaged" in line for line in said)
    program.write_bytes(whole)
    three_updates(keeping(tmp_path, "networks.actor.trunk.width=5", said=said))
    assert len(traced) == 3 and "was [" in said[-1] and "and is [" in said[-1]


def test_a_network_that_is_replaced_is_not_computed_by_a_kept_program(tmp_path: Path) -> None:
    agent = keeping(tmp_path)
    actor = agent.networks["actor"]
    agent.restructure("actor", actor.template, agent.outlines["actor"], actor.parameters, actor.buffers)
    assert agent.kept is None


def test_a_resumed_run_whose_network_was_replaced_loads_no_program_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not compiled, so that it is quick: it is about who may load."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(capture, "compiler_problem", lambda: None)
    when, where = '{ kind = "at", steps = [50] }', '{ kind = "last_layers", of = "critic" }'
    inject = f'interventions.more={{ when = {when}, where = {where}, do = {{ kind = "inject" }}, target = "follow" }}'
    whole, _ = finished(tmp_path / "whole", "compute.compile=always", inject)
    run, session = begin(tmp_path / "cut", "compute.compile=always", inject)
    assert session.learner.kept is not None
    run, session, _ = assemble.resume(stopped(run, session, 1_040))
    assert session.learner.kept is None
    go_on(session)
    run.close()
    assert state_digest(run.path) == state_digest(whole)


def test_inputs_that_are_laid_out_otherwise_are_traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a loaded program looks at strides."""

    def update(values: Tensor) -> None:
        values.add_(1)

    programs = KeptPrograms(tmp_path, "digest", dict)
    program = KeptProgram(update, programs, lambda options: lambda values: values.sub_(1), {})
    monkeypatch.setattr(program, "_loaded", lambda inputs: update)
    first, turned, wider = torch.zeros(2, 3), torch.zeros(3, 2).T, torch.zeros(2, 4)
    for values in (first, turned, wider, first):
        program(values)
    assert first.eq(2).all() and turned.eq(-1).all() and wider.eq(-1).all()


def test_the_console_says_that_a_program_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent = keeping(tmp_path)
    session: Any = SimpleNamespace(learner=agent, time_left=SimpleNamespace(has_updated=False))
    assert agent.kept is not None
    for said in ("compiling the update", "loading the compiled update"):
        with first_update(session, Console(100)):
            pass
        assert said in capsys.readouterr().err
        agent.kept.listing("compute_update").touch()


def test_the_oldest_programs_are_dropped(tmp_path: Path) -> None:
    """A program that two listings name stays as long as one of them."""
    for number in range(MOST_KEPT + 3):
        name = "shared.bin" if number in (0, MOST_KEPT) else f"{number}.bin"
        (tmp_path / name).write_bytes(b"")
        listing = tmp_path / f"{number}.json"
        listing.write_text(json.dumps({"program": name}), encoding="ascii")
        os.utime(listing, (number, number))
    drop_oldest(tmp_path)
    left = {file.name for file in tmp_path.iterdir()}
    assert {"1.bin", "2.bin", "0.json", "2.json"}.isdisjoint(left) and {"shared.bin", "3.bin", "3.json"} <= left


@pytest.mark.slow
def test_a_run_that_starts_again_traces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three starts: without keeping, the one that keeps, one that may not trace and is stopped and resumed."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    changes = (*SMALL, "compute.compile=always")
    with monkeypatch.context() as patch:
        patch.setattr(make_session, "keep_programs", lambda *_: None)
        plain, _ = finished(tmp_path / "plain", *changes)
    keeps, session = finished(tmp_path / "keeps", *changes)
    assert session.learner.kept is not None and session.learner.kept.loaded == []
    monkeypatch.setattr(torch, "compile", lambda function, **_: refuse_to_trace)
    run, session = begin(tmp_path / "loads", *changes)
    run, later, _ = assemble.resume(stopped(run, session, 1_040))
    go_on(later)
    run.close()
    for each in (session, later):
        assert each.learner.kept is not None and each.learner.kept.loaded == ["compute_update"]
    assert state_digest(plain) == state_digest(keeps) == state_digest(run.path)
    begins = choose_compilation(tiny(*SMALL, "compute.compile=background"), "cpu")
    assert begins.compiled and "has kept" in begins.reason
    assert not choose_compilation(tiny("compute.compile=background"), "cpu").compiled


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        ("seeds=[7]", False),
        ("name=renamed", False),
        ("evaluation.episodes=5", False),
        ("compute.compile=background", False),
        ("seeds=[0,1]", True),
        ("optimizers.actor.learning_rate=2e-3", True),
        ("training.env_steps=2_400", True),
        ("compute.precision=bf16", True),
    ],
)
def test_a_program_is_known_by_all_that_its_update_follows_from(change: str, is_another: bool) -> None:
    digests = {kept_programs._digest(tiny(*changes)) for changes in ((), (change,))}
    assert (len(digests) == 2) is is_another


def test_threads_the_source_and_settings_of_torch_make_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {kept_programs._digest(tiny())}
    with monkeypatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_FREEZING", "1")
        digests.add(kept_programs._digest(tiny()))
    for owner, name in ((torch, "get_num_threads"), (kept_programs, "source_digest"), (kept_programs, "processor")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, lambda: 77)
            digests.add(kept_programs._digest(tiny()))
    assert len(digests) == 5


def test_only_what_composer_brings_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``test/drift`` is a kind of another package: nothing tells when its code changes."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    agent = learner()
    for blueprint, is_kept in ((tiny(DRIFT), False), (tiny(), True)):
        keep_programs(agent, blueprint, print)
        assert (agent.kept is not None) is is_kept
