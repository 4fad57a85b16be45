"""Programs that are kept whole: equal to traced ones to the bit, loaded without tracing, only where they fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import DRIFT, learner, tiny, transitions
from torch import Tensor

from composer.training.assemble import kept_programs
from composer.training.assemble.kept_programs import keep_programs, read_by_updates
from composer.training.compile.capture import Choice
from composer.training.compile.kept import KeptPrograms
from composer.training.learner import Learner

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
def test_a_loaded_program_equals_the_traced_one_and_a_damaged_file_is_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone compiles: torch's own way without a kept program, the way that keeps it, and what is loaded afterwards."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    kept, plain = three_updates(keeping(tmp_path)), three_updates(learner(*SMALL, choice=COMPILED))
    monkeypatch.setattr(torch, "compile", refuse_to_trace)
    second = keeping(tmp_path)
    loaded = three_updates(second)
    assert second.kept is not None and second.kept.loaded == ["compute_update"]
    torch.testing.assert_close(kept, plain, rtol=0.0, atol=0.0, equal_nan=True)
    torch.testing.assert_close(loaded, plain, rtol=0.0, atol=0.0, equal_nan=True)
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
    for owner, name in ((torch, "get_num_threads"), (kept_programs, "source_digest")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, lambda: 77)
            digests.add(kept_programs._digest(tiny()))
    assert len(digests) == 4


def test_only_what_composer_brings_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``test/drift`` is a kind of another package: nothing tells when its code changes."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    agent = learner()
    for blueprint, is_kept in ((tiny(DRIFT), False), (tiny(), True)):
        keep_programs(agent, blueprint, print)
        assert (agent.kept is not None) is is_kept
