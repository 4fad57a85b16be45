"""``replay.storage``: what is counted where, what is refused; the experiment stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_dqn
import tiny_rollouts
from tiny_runs import DRIFT, tiny

from composer.blueprint import BlueprintError, digest, dump, load
from composer.blueprint.checks import meaning as verifying
from composer.blueprint.checks.meaning import memory_problems
from composer.blueprint.forecast.memory import disk_bytes, forecast, transitions_allocated
from composer.blueprint.inspect.show import show_json
from composer.blueprint.inspect.show_text import show_text

ON_DISK = "replay.storage=disk"
PRIORITIES = 'replay.sampling={ kind = "prioritised" }'


def test_what_lies_on_disk_takes_no_memory() -> None:
    usual, moved = forecast(tiny(DRIFT)), forecast(tiny(DRIFT, ON_DISK))
    rows = 100 * (2 * 3 + 2 + 3) * 4
    assert (usual.replay, usual.disk) == (rows, 0)
    assert (moved.replay, moved.disk) == (0, rows)
    assert moved.total == usual.total - rows
    for kind in ("auto", "device", "host"):
        assert forecast(tiny(DRIFT, f"replay.storage={kind}")) == usual


def test_of_pictures_the_frames_lie_on_disk_and_numbers_and_priorities_in_memory() -> None:
    needs = forecast(tiny_dqn.tiny(*tiny_dqn.DOTS, PRIORITIES, ON_DISK))
    assert needs.disk == 70 * 6 * 6
    assert needs.replay == 70 * ((3 + 3) * 4 + 8 + 8)
    assert forecast(tiny_dqn.tiny(*tiny_dqn.DOTS, PRIORITIES)).replay == needs.disk + needs.replay


def test_what_is_shown() -> None:
    blueprint = tiny(DRIFT, ON_DISK)
    shown = show_json(blueprint)
    assert (shown["disk_bytes"], shown["memory"]["replay_bytes"]) == (4_400, 0)
    (line,) = (line for line in show_text(blueprint).splitlines() if "on disk" in line)
    assert line.split() == ["replay,", "on", "disk", "4.30", "KiB"]
    assert "on disk" not in show_text(tiny(DRIFT))


def test_where_replay_lies_makes_no_other_experiment() -> None:
    assert digest(tiny(DRIFT)) == digest(tiny(DRIFT, ON_DISK)) != digest(tiny(DRIFT, "replay.capacity=99"))
    assert 'storage = "disk"' in dump(tiny(DRIFT, ON_DISK))


@pytest.mark.parametrize(
    ("kind", "memory", "disk", "said"),
    [
        ("auto", 1.0, 0, None),
        ("auto", 0.9, 1_000_000, None),
        ("auto", 0.9, 10, "500 KiB of memory and 10 B of disk are available; nothing allocated"),
        ("auto", 0.1, 1_000_000, "of memory, 55.6 KiB are available; nothing allocated"),
        ("device", 0.9, 1_000_000, "of memory, 500 KiB are available; nothing allocated"),
        ("host", 0.9, 1_000_000, "of memory, 500 KiB are available; nothing allocated"),
        ("disk", 0.9, 10, None),
    ],
)
def test_memory_is_checked_where_it_will_be_taken(
    kind: str, memory: float, disk: int, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a disk has is checked when the run starts: only then is it known which one."""
    blueprint = tiny(DRIFT, f"replay.storage={kind}", "replay.capacity=10_000")
    whole = forecast(tiny(DRIFT, "replay.capacity=10_000")).total
    monkeypatch.setattr(verifying, "available_bytes", lambda: int(memory * whole))
    monkeypatch.setattr(verifying, "disk_bytes", lambda folder: disk)
    found = list(memory_problems(blueprint))
    if said is None:
        assert found == []
        return
    ((path, message),) = found
    assert message.endswith(said), message
    assert path == ("replay", "capacity")


def test_a_rollout_lies_where_it_is_learned_from(tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match="keeps no replay: leave it out"):
        tiny_rollouts.tiny(ON_DISK)
    assert forecast(tiny_rollouts.tiny()).disk == 0


def test_other_places_are_refused() -> None:
    with pytest.raises(BlueprintError, match=r"'device', 'host' or 'disk', got string \"disc\".*did you mean 'disk'"):
        load(tiny_dqn.TINY, ["replay.storage=disc"])


def test_a_ring_that_is_never_filled_is_counted_as_far_as_it_is() -> None:
    assert transitions_allocated(tiny(DRIFT, "training.env_steps=60")) == 60
    assert transitions_allocated(tiny(DRIFT)) == 100


def test_room_is_that_of_the_disk_that_a_folder_would_lie_on(tmp_path: Path) -> None:
    assert abs(disk_bytes(tmp_path / "not" / "there") - disk_bytes(tmp_path)) < 2**30
