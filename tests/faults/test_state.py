"""The state of a run is complete, nothing in it is superfluous, and it comes back as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_runs import EVENTFUL, begin, result, resumed

from composer.training import assemble
from composer.training.runs.checkpoint import CheckpointDamaged, Checkpoints, Snapshot


def replaced(run: Path, name: str, fresh: Snapshot) -> Callable[[Checkpoints], Snapshot]:
    """The newest checkpoint with one item as it was at the start of the run."""
    snapshot = Checkpoints(run).load()

    def load(_: Checkpoints) -> Snapshot:
        tensors, values = dict(snapshot.tensors), dict(snapshot.values)
        (tensors if name in tensors else values)[name] = (fresh.tensors if name in tensors else fresh.values)[name]
        return Snapshot(tensors, values, snapshot.segments, snapshot.path)

    return load


STATE = (
    "updates",
    "signals",
    "episodes",
    "networks/actor/head.mean.weight",
    "networks/critic/trunk.1.inner.2.bias",
    "networks/temperature/value",
    "averages/target_critic/head.linear.weight",
    "optimizers/critic/steps",
    "optimizers/actor/first.head.mean.weight",
    "optimizers/temperature/second.value",
    "normalization/observation/mean",
    "normalization/observation/variance",
    "normalization/observation/weight",
    "random/learn/5",
    "random/explore/0",
    "random/replay/5",
    "environment/episodes",
    "environment/actions",
    "interactions",
    "returns",
    "journal_offset",
    "replay_start",
    "diagnostics",
)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """What a run holds before its first step."""
    opened, parts = begin(tmp_path_factory.mktemp("fresh"), *EVENTFUL, "training.env_steps=139")
    snapshot = parts.snapshot()
    opened.close()
    parts.close()
    return snapshot


@pytest.mark.parametrize("name", STATE)
def test_every_item_of_the_state_is_needed(
    name: str, fresh: Snapshot, whole: tuple[str, bytes], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With any one item left as a fresh run has it, the resumed run differs or fails: none is saved in vain."""
    if name not in fresh.tensors and name not in fresh.values:
        name = next(key for key in fresh.tensors if key.startswith("networks/critic/trunk") and key.endswith("bias"))
    if name == "returns":
        # The last evaluation replaces them: they matter to a run that has finished.
        assert Checkpoints(copy).load().values["returns"] != fresh.values["returns"]
        return
    monkeypatch.setattr(Checkpoints, "load", replaced(copy, name, fresh))
    try:
        resumed(copy)
    except Exception as error:
        assert not isinstance(error, CheckpointDamaged)
        return
    monkeypatch.undo()
    assert result(copy) != whole


def test_the_state_is_complete(halted: Path) -> None:
    """Every stateful thing that a run is made of stands in the snapshot under its name."""
    snapshot = Checkpoints(halted).load()
    groups = {name.split("/")[0] for name in snapshot.tensors}
    assert groups == {
        *("updates", "signals", "episodes", "networks", "averages", "optimizers"),
        *("normalization", "random", "environment", "diagnostics"),
    }
    assert {name for name in snapshot.tensors if name.startswith("random/")} == {
        f"random/{stream}/{seed}" for stream in ("learn", "explore", "replay") for seed in (0, 5)
    }
    assert set(snapshot.values) == {
        *("interactions", "replay_added", "replay_start", "journal_offset", "returns", "diagnostics")
    }


def test_what_is_restored_is_what_was_saved(halted: Path) -> None:
    run, parts, _ = assemble.resume(halted)
    saved, now = Checkpoints(halted).load(), parts.snapshot()
    assert saved.values == now.values
    assert saved.segments == now.segments
    assert saved.tensors.keys() == now.tensors.keys()
    for name, value in saved.tensors.items():
        assert torch.equal(value, now.tensors[name]), name
    parts.close()
    run.close()


def test_an_item_that_is_missing_stops_the_resume(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = Checkpoints(copy).load()
    several = "networks/actor/head.mean.weight", "random/learn/0", "environment/actions", "diagnostics/probe/reward"
    for name in (*several, "episodes"):
        tensors = {key: value for key, value in snapshot.tensors.items() if key != name}
        incomplete = Snapshot(tensors, snapshot.values, snapshot.segments)
        monkeypatch.setattr(Checkpoints, "load", lambda self, snapshot=incomplete: snapshot)
        with pytest.raises(CheckpointDamaged, match="does not hold the state of this run: KeyError"):
            assemble.resume(copy)
        monkeypatch.undo()
