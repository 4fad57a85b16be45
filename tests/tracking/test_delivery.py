"""Delivery: whatever fails or is killed between any two steps, the store ends with every row, once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tracking_run import STEPS, append, expected, rows, timing

from composer.tracking import delivery as module
from composer.tracking.base import Destination
from composer.tracking.delivery import Delivery
from composer.tracking.points import Point
from composer.tracking.records import JOURNAL, RUN, TIMING, Record, StoredRun, Tracking, Upload, pending

HERE = Destination("sqlite:////here.db", "embedded")
THERE = Destination("http://there", "environment")


class Killed(BaseException):
    """A kill at one call: nothing catches it."""


class World:
    """Stores by URI, in memory, and a count of calls at one of which everything stops."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, dict[str, Any]]] = {}
        self.calls = 0
        self.stop_at: tuple[int, str] | None = None

    def call(self, effects: Sequence[Callable[[], object]]) -> None:
        """Apply the effects of one call: none, half or all of them where it is the one that fails."""
        self.calls += 1
        number, moment = self.stop_at or (0, "after")
        stops = self.calls == number
        share = {"before": 0, "half": len(effects) // 2, "after": len(effects)}[moment]
        for effect in effects[:share] if stops else effects:
            effect()
        if stops:
            raise Killed


class FakeStore:
    """What ``Store`` does, on a ``World``; every metric given is kept, so that a second one shows."""

    world: World

    def __init__(self, destination: Destination) -> None:
        self.runs = self.world.runs.setdefault(destination.uri, {})

    def experiment(self, name: str) -> str:
        return "1"

    def find_run(self, experiment_id: str, tags: Mapping[str, str]) -> str | None:
        return next((run_id for run_id, run in self.runs.items() if tags.items() <= run["tags"].items()), None)

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], start_time: int) -> str:
        run_id = f"id{len(self.runs)}"
        run = {"name": name, "tags": dict(tags), "status": "RUNNING", "metrics": [], "parameters": {}, "files": []}
        self.world.call([lambda: self.runs.update({run_id: run})])
        return run_id

    def has_other(self, experiment_id: str, tags: Mapping[str, str], name: str, value: str) -> bool:
        found = [run["tags"] for run in self.runs.values() if tags.items() <= run["tags"].items()]
        return any(each.get(name, value) != value for each in found)

    def why(self, error: Exception) -> str:
        return str(error)

    def arrange(self, *_: object) -> None: ...

    def log_models(self, *_: object) -> None: ...

    def log_dataset(self, *_: object) -> None: ...

    def tag(self, run_id: str, name: str) -> str | None:
        return self.runs[run_id]["tags"].get(name)

    def revive(self, run_id: str) -> str | None:
        return "active" if run_id in self.runs else None

    def log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        self.world.call([lambda: self.runs[run_id]["parameters"].update(parameters)])

    def log_file(self, run_id: str, path: Path) -> None:
        self.world.call([lambda: self.runs[run_id]["files"].append(path.name)])

    def log_points(self, run_id: str, points: Sequence[tuple[Point, int]]) -> None:
        self.world.call([lambda point=point: self.runs[run_id]["metrics"].append(point) for point in points])  # type: ignore[misc]

    def steps(self, run_id: str, name: str) -> set[int]:
        return {point.step for point, _ in self.runs[run_id]["metrics"] if point.name == name}

    def set_tag(self, run_id: str, name: str, text: str) -> None:
        self.world.call([lambda: self.runs[run_id]["tags"].update({name: text})])

    def set_status(self, run_id: str, status: str, end_time: int | None = None) -> None:
        self.world.call([lambda: self.runs[run_id].update(status=status, end=end_time)])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world in which also every write of a record may be the last thing that happens."""
    world = FakeStore.world = World()
    save = Record.save
    monkeypatch.setattr(module, "BATCH_POINTS", 14)
    monkeypatch.setattr(Record, "save", lambda record, run_dir: world.call([lambda: save(record, run_dir)]))
    yield world


def connect(run_dir: Path, destination: Destination = HERE) -> Delivery:
    tracking = Tracking.load(run_dir)
    assert tracking is not None
    return Delivery(run_dir, tracking, destination, FakeStore(destination))


def deliver(run_dir: Path, destination: Destination = HERE) -> None:
    found = connect(run_dir, destination)
    while found.step():
        pass
    found.end("FINISHED", 5)


def stored(world: World, destination: Destination = HERE) -> dict[tuple[str, str, int], float]:
    """All metrics of a store by (run, metric, step); fails where one is there twice."""
    found = [
        ((run["tags"]["composer.role"], point.name, point.step), point.value)
        for run in world.runs[destination.uri].values()
        for point, _ in run["metrics"]
    ]
    assert max(Counter(key for key, _ in found).values()) == 1
    return dict(found)


def write_all(run_dir: Path) -> None:
    append(run_dir / JOURNAL, rows())
    append(run_dir / TIMING, timing(), clock=lambda: 7.0)


def test_interventions_that_never_fired_are_a_tag_of_the_parent(run_dir: Path, world: World) -> None:
    said = {"name": "never_fired", "intervention": "wait", "seeds": [3, 5], "why": "critic/loss was never written"}
    append(run_dir / JOURNAL, [*rows(), {"type": "event", "env_step": 900, "seed": None, **said}])
    deliver(run_dir)
    parent, *children = world.runs[HERE.uri].values()
    assert parent["tags"]["composer.never_fired"] == "wait: critic/loss was never written"
    assert not any("composer.never_fired" in child["tags"] for child in children)


def test_runs_of_one_name_with_other_settings_are_other_agents(run_dir: Path, world: World) -> None:
    """An edited file, for one: the page averages runs of one name, parents and children alike."""
    named: dict[str, set[str]] = {}
    for number, settings in enumerate(["aaaa1", "bbbb2", "aaaa1", "bbbb2"]):
        for each in (StoredRun.file, Upload.file):
            (run_dir / each).unlink(missing_ok=True)
        (run_dir / RUN).write_text(
            json.dumps({"run_id": f"r-{number}", "name": "sac", "seeds": [3, 5], "task": "walk", "note": "What it is"})
        )
        Tracking(None, "embedded", "composer", False, {}, {"agent": "sac", "composer.agent": settings}).save(run_dir)
        deliver(run_dir)
        (parent,) = (
            each for each in world.runs[HERE.uri].values() if each["tags"].get("mlflow.note.content") == "What it is"
        )
        parent["tags"]["mlflow.note.content"] = f"mine {number}"
        deliver(run_dir)  # a later start finds its own runs and leaves the name as it is
        mine = [run for run in world.runs[HERE.uri].values() if run["tags"]["composer.run_id"] == f"r-{number}"]
        named[f"r-{number}"] = {run["tags"]["agent"] for run in mine}
        notes = [run["tags"]["mlflow.note.content"] for run in mine]
        title = mine[0]["name"].replace("#", "\\#")
        parent_id = next(key for key, run in world.runs[HERE.uri].items() if run is mine[0])
        assert notes[0] == f"mine {number}"
        assert notes[1:] == [f"Seed {seed} of [{title}](#/experiments/1/runs/{parent_id})." for seed in (3, 5)]
        assert len(mine) == 3 and mine[0]["name"] == f"{mine[0]['tags']['agent']} · walk"
    assert named == {"r-0": {"sac"}, "r-1": {"sac #bbbb"}, "r-2": {"sac"}, "r-3": {"sac #bbbb"}}


def test_every_row_reaches_the_store_with_its_runs_tags_and_files(run_dir: Path, world: World) -> None:
    write_all(run_dir)
    deliver(run_dir)
    assert stored(world) == pytest.approx(expected(), rel=1e-12)
    parent, *children = world.runs[HERE.uri].values()
    assert [run["name"] for run in (parent, *children)] == [
        "sac@reset · walker-walk",
        "sac@reset · walker-walk · seed 3",
        "sac@reset · walker-walk · seed 5",
    ]
    assert parent["tags"] == {
        "agent": "sac@reset",
        "algorithm": "sac",
        "composer.hash": "abc",
        "composer.run_id": "r-1",
        "composer.role": "parent",
    }
    assert [run["tags"]["mlflow.parentRunId"] for run in children] == ["id0", "id0"]
    assert [run["tags"]["seed"] for run in children] == ["3", "5"]
    assert parent["files"] == ["run.json", "blueprint.toml", "parameters.json", "events.jsonl"]
    assert {run["status"] for run in (parent, *children)} == {"FINISHED"}
    assert {time for run in (parent, *children) for _, time in run["metrics"]} == {7000}
    where = StoredRun.load(run_dir)
    assert where is not None and (where.run_id, where.children) == ("id0", {"3": "id1", "5": "id2"})
    assert pending(run_dir) == 0


@pytest.mark.parametrize("moment", ["before", "half", "after"])
def test_stopped_at_any_call_the_next_one_completes_the_same_store(run_dir: Path, world: World, moment: str) -> None:
    write_all(run_dir)
    deliver(run_dir)
    calls, clean = world.calls, stored(world)
    assert calls > 40
    for number in range(1, calls + 1):
        world.runs.clear()
        for record in (Upload, StoredRun):
            (run_dir / record.file).unlink(missing_ok=True)
        world.calls, world.stop_at = 0, (number, moment)
        with pytest.raises(Killed):
            deliver(run_dir)
        deliver(run_dir)
        assert stored(world) == clean, f"stopped at call {number}"
        assert len(world.runs[HERE.uri]) == 3, f"stopped at call {number}"


def test_files_that_a_store_refuses_cost_no_row_and_are_sent_at_the_end(
    run_dir: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the client of a cloud does: its errors are neither of the disk nor of the network."""

    class NoCredentials(Exception): ...

    def refuse(*_: object) -> None:
        raise NoCredentials("no keys of the bucket")

    write_all(run_dir)
    with monkeypatch.context() as refusing:
        refusing.setattr(FakeStore, "log_file", refuse)
        deliver(run_dir)
    upload, parent = Upload.load(run_dir), world.runs[HERE.uri]["id0"]
    assert upload is not None and upload.notes == ["its files are not there: no keys of the bucket"]
    assert stored(world) == pytest.approx(expected(), rel=1e-12) and parent["files"] == []
    deliver(run_dir)
    upload = Upload.load(run_dir)
    assert upload is not None and upload.notes == []
    assert parent["files"] == ["run.json", "blueprint.toml", "parameters.json", "events.jsonl"]


def test_times_of_a_resumed_run_follow_those_before_the_kill(run_dir: Path, world: World) -> None:
    append(run_dir / JOURNAL, rows())
    append(run_dir / TIMING, [*timing(), *timing(3, STEPS, speed=70.0)])
    deliver(run_dir)
    assert stored(world) == pytest.approx(expected(), rel=1e-12)


@pytest.mark.parametrize("kept", [0, 3, STEPS - 1])
@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_journal_cut_back_grows_again_without_a_second_copy(
    run_dir: Path, world: World, kept: int, acknowledged: bool
) -> None:
    write_all(run_dir)
    if acknowledged:
        deliver(run_dir)
    else:
        world.stop_at = (12, "after")  # rows have arrived of which upload.json does not know
        with pytest.raises(Killed):
            deliver(run_dir)
    cut = {}
    for name, before in ((JOURNAL, rows(0, kept)), (TIMING, timing(0, kept))):
        append(run_dir / f"{name}.prefix", before, clock=(lambda: 7.0) if name == TIMING else None)
        cut[name] = (run_dir / f"{name}.prefix").stat().st_size
    append(run_dir / JOURNAL, rows(kept, STEPS - 1), resume_at=cut[JOURNAL])
    append(run_dir / TIMING, timing(kept, STEPS - 1), resume_at=cut[TIMING], clock=lambda: 9.0)
    found = connect(run_dir)
    while found.step():
        pass
    append(run_dir / JOURNAL, rows(STEPS - 1), resume_at=(run_dir / JOURNAL).stat().st_size)
    append(run_dir / TIMING, timing(STEPS - 1), resume_at=(run_dir / TIMING).stat().st_size, clock=lambda: 9.0)
    while found.step():
        pass
    assert stored(world) == pytest.approx(expected(), rel=1e-12)


def test_a_follower_survives_that_its_journal_is_cut_back(run_dir: Path, world: World) -> None:
    append(run_dir / JOURNAL, rows(0, 5))
    append(run_dir / TIMING, timing())
    found = connect(run_dir)
    while found.step():
        pass
    append(run_dir / "prefix", rows(0, 2))
    append(run_dir / JOURNAL, rows(2, 3), resume_at=(run_dir / "prefix").stat().st_size)
    assert not found.step()
    append(run_dir / JOURNAL, rows(3), resume_at=(run_dir / JOURNAL).stat().st_size)
    while found.step():
        pass
    assert stored(world) == pytest.approx(expected(), rel=1e-12)


def test_another_store_gets_the_whole_run_and_the_first_one_nothing_twice(run_dir: Path, world: World) -> None:
    write_all(run_dir)
    for destination in (HERE, THERE, HERE, THERE):
        deliver(run_dir, destination)
    assert stored(world, HERE) == stored(world, THERE) == pytest.approx(expected(), rel=1e-12)


@pytest.mark.parametrize("lost", [["upload.json"], ["mlflow.json"], ["upload.json", "mlflow.json"]])
def test_lost_records_are_made_again_from_the_store(run_dir: Path, world: World, lost: list[str]) -> None:
    write_all(run_dir)
    deliver(run_dir)
    for name in lost:
        (run_dir / name).write_text("{ torn")
    deliver(run_dir)
    assert stored(world) == pytest.approx(expected(), rel=1e-12)
    assert len(world.runs[HERE.uri]) == 3


def test_a_run_deleted_in_the_store_is_written_again(run_dir: Path, world: World) -> None:
    write_all(run_dir)
    deliver(run_dir)
    world.runs[HERE.uri].clear()
    deliver(run_dir)
    assert stored(world) == pytest.approx(expected(), rel=1e-12)


def test_a_resumed_run_is_running_again(run_dir: Path, world: World) -> None:
    write_all(run_dir)
    deliver(run_dir)
    connect(run_dir)
    assert {run["status"] for run in world.runs[HERE.uri].values()} == {"RUNNING"}
    assert world.runs[HERE.uri]["id0"]["files"].count("run.json") == 1


def test_a_damaged_row_stops_the_upload_there_and_is_reported(run_dir: Path, world: World) -> None:
    write_all(run_dir)
    path = run_dir / JOURNAL
    damaged = path.read_bytes().replace(b'"env_step":300,"seed":5', b'"env_step":301,"seed":5')
    path.write_bytes(damaged)
    deliver(run_dir)
    upload = Upload.load(run_dir)
    assert upload is not None and upload.error is not None
    assert upload.error.startswith("journal.jsonl: byte ") and upload.error.endswith("checksum does not fit")
    assert ("3", "return", 300) in stored(world) and ("5", "return", 300) not in stored(world)
    assert pending(run_dir) == len(rows()) - upload.acknowledged[JOURNAL] > 0
