"""``--slurm`` and ``--ray``: their words, the tables of a study's file, and the threads that a study decides once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from composer.blueprint import BlueprintError
from composer.blueprint.syntax.read import parse_tree
from composer.spec.processors import THREADS
from composer.studies import Refused
from composer.studies.execution import resources
from composer.studies.execution.launchers import RayTable, _options, launching
from composer.studies.execution.local import LocalLauncher
from composer.studies.execution.ray import RayLauncher
from composer.studies.execution.resources import GPUS, least_used, local_gpus, threads_of
from composer.studies.execution.slurm import SlurmLauncher, SlurmTable

STUDY = parse_tree(b"[slurm]\npartition = 'cpu'\ntime = 01:30:00\n[ray]\nnum_gpu = 1\n", "study.toml")


def test_options_lie_over_the_table_of_the_study() -> None:
    assert _options("slurm", "auto", SlurmTable, STUDY)[1].time == 90
    head, table = _options("slurm", "time=02:00:00, cpus_per_task=4", SlurmTable, STUDY)
    assert (head, table.partition, table.time, table.cpus_per_task) == ("", "cpu", 120, 4)
    assert _options("ray", "10.0.0.7:6379,num_gpus=0.5", RayTable, None) == ("10.0.0.7:6379", RayTable(num_gpus=0.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partitoin=x", r"slurm.partitoin: unknown key \(--slurm\); did you mean 'partition'"),
        ("time=1", "slurm.time: "),
        ("partition=$(reboot)", "slurm.partition: "),
        ("auto,local", "expected KEY=VALUE, got 'local'"),
    ],
)
def test_wrong_options_are_told_as_keys_of_a_file_are(text: str, message: str) -> None:
    with pytest.raises(BlueprintError, match=message):
        _options("slurm", text, SlurmTable, STUDY)


def test_wrong_tables_are_told_at_their_lines(tmp_path: Path) -> None:
    with (
        pytest.raises(BlueprintError, match=r"study.toml:5:1: ray.num_gpu: unknown key; did you mean 'num_gpus'"),
        launching(tmp_path, 1, ray="auto", study=STUDY),
    ):
        pass


def test_the_launcher_is_the_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with launching(tmp_path / "a", None) as launcher:
        assert isinstance(launcher, LocalLauncher) and launcher.slots == 1
    with launching(tmp_path / "b", 3, slurm="local") as launcher:
        assert isinstance(launcher, SlurmLauncher) and (launcher.name, launcher.slots) == ("slurm-local", 3)
    with pytest.raises(BlueprintError, match="--slurm takes auto, local"), launching(tmp_path, 1, slurm="loca"):
        pass
    with pytest.raises(Refused, match="exclude each other"), launching(tmp_path, 1, slurm="auto", ray="auto"):
        pass
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Refused, match=r'install "rl-composer\[ray\]"'), launching(tmp_path / "c", 1, ray="auto"):
        pass
    assert not (tmp_path / "c").exists(), "nothing is decided where nothing has begun"


def test_a_study_keeps_the_threads_with_which_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    monkeypatch.setattr(resources, "cores", lambda: 8)
    assert threads_of(tmp_path / "a", resources.share(3)) == 2, "8 cores for 3 jobs"
    with launching(tmp_path / "a", None, slurm="local,cpus_per_task=16"):
        assert threads_of(tmp_path / "a", 5) == 2
    monkeypatch.setenv(THREADS, "7")
    with launching(tmp_path / "b", 3, slurm="local"):
        assert threads_of(tmp_path / "b", 5) == 7, "the user has decided"
    (tmp_path / "a" / resources.RESOURCES).write_text(json.dumps({"threads": "many"}))
    assert threads_of(tmp_path / "a", 5) == 7


def test_gpus_are_shared_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GPUS, "3, MIG-5,")
    assert local_gpus() == ("3", "MIG-5")
    used: list[str] = []
    for _ in range(4):
        used.append(least_used(local_gpus(), used))
    assert used == ["3", "MIG-5", "3", "MIG-5"]
    assert least_used(local_gpus(), ["3", "MIG-5", "3"]) == "MIG-5"


class StandInForRay:
    """Of Ray: actors, references that are there or not, and which actors were removed."""

    class exceptions:
        class RayError(Exception):
            pass

    def __init__(self) -> None:
        self.there: set[object] = set()
        self.actors: list[SimpleNamespace] = []
        self.killed: list[object] = []

    def remote(self, kind: type) -> Any:
        return SimpleNamespace(options=lambda **asked: SimpleNamespace(remote=self._actor))

    def _actor(self, folder: str) -> SimpleNamespace:
        number = len(self.actors)
        actor = SimpleNamespace(
            _actor_id=SimpleNamespace(hex=lambda: str(number)),
            __ray_ready__=SimpleNamespace(remote=lambda: ("begun", number)),
            perform=SimpleNamespace(remote=lambda work: ("done", number)),
        )
        self.actors.append(actor)
        return actor

    def wait(self, references: list[object], timeout: float) -> tuple[list[object], list[object]]:
        there = [each for each in references if each in self.there]
        return there[:1], [each for each in references if each not in there[:1]]

    def kill(self, actor: object) -> None:
        self.killed.append(actor)


def test_an_actor_of_ray_gives_its_processors_back_when_its_work_has_ended() -> None:
    """The driver asks for no state of a work whose answer it has read: the next works would wait for ever."""
    ray = StandInForRay()
    launcher = RayLauncher(ray, threads=1, slots=1)
    (first,) = launcher.start(["work"])  # type: ignore[list-item]
    assert launcher.states([first]) == {first: "waiting"}
    ray.there.add(("begun", 0))
    launcher.wait(0.0)
    assert launcher.states([first]) == {first: "running"} and ray.killed == []
    ray.there.add(("done", 0))
    (second,) = launcher.start(["next"])  # type: ignore[list-item]
    assert ray.killed == [ray.actors[0]] and launcher.states([first, second]) == {second: "waiting"}
    ray.there.add(("done", 1))
    launcher.wait(0.0)
    assert ray.killed == ray.actors and launcher.states([second]) == {}
