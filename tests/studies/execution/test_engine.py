"""The engine: every run of a study once, whatever dies in between; the truth is in the run directories."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from tiny_runs import Stopper, as_if_begun_elsewhere, state_digest, stopped
from tiny_studies import Here, Inline, Killed, Studied, every, here, result_alone, runs_of, studied

from composer.studies.compare.read_runs import read_run
from composer.studies.execution import driver, worker
from composer.studies.execution.item import TRIES
from composer.studies.execution.ledger import Ledger, StudyInUse, holding
from composer.studies.execution.stopping import StudyStopped
from composer.studies.execution.work import JobState, Work
from composer.tracking import locks
from composer.tracking.journal import read
from composer.tracking.locks import lock_exclusive, lock_shared, open_lock
from composer.tracking.uploader import Uploader
from composer.training import assemble, launch
from composer.training.assemble import NewRun
from composer.training.interrupts import Interrupted
from composer.training.runs.directory import open_run, read_facts
from composer.training.runs.membership import STUDY, NoStudy

__all__ = ["here", "studied"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of runs that no study trained, by name."""
    return {run.name: result_alone(run, tmp_path_factory.mktemp("alone")) for run in runs_of(8, 12)}


def test_a_study_trains_every_run_once_as_it_would_be_trained_alone(
    studied: Studied, here: Here, alone: dict[str, str]
) -> None:
    runs = runs_of(8, 12)
    outcomes = studied.train([*runs, runs[0]])
    assert here.commands == ["train", "train"] and len(list(every(studied.runs))) == 2
    assert [(each.status, each.exit_code, each.digest) for each in outcomes] == [
        ("finished", 0, alone[run.name]) for run in (*runs, runs[0])
    ]
    assert studied.ends() == {name: ("finished", digest) for name, digest in alone.items()}
    assert outcomes[0].run is runs[0] and outcomes[0].directory == outcomes[2].directory
    again = studied.train(runs)
    assert studied.launcher.performed == [] and [each.was_before for each in again] == [True, True]
    assert [each.digest for each in again] == [each.digest for each in outcomes[:2]]
    assert studied.said == [f"{each.run.name}: finished before, in {each.directory}" for each in outcomes[:2]]


def test_a_run_names_its_study_and_point_outside_of_its_hash(studied: Studied, tmp_path: Path) -> None:
    (run,) = runs_of(8)
    (outcome,) = studied.train([run])
    assert outcome.directory is not None
    facts = read_facts(outcome.directory)
    point = {"name": "tiny", "folder": str(studied.folder), "label": "width=8", "point": {"width": 8}}
    assert facts["study"] == point
    opened, session = assemble.start(run.blueprint, tmp_path, None)
    session.close()
    opened.close()
    assert "study" not in opened.facts and opened.facts["hash"] == facts["hash"]
    assert str(read_run(outcome.directory, "evaluation/return").agent) == "tiny (width=8)"


def test_a_driver_that_dies_at_any_row_of_its_ledger_loses_nothing(
    studied: Studied, here: Here, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is killed before its first row, the next after its second, and so on, until one comes through."""
    append, here.stops_at = Ledger.append, [50]
    deaths = []
    for last in range(40):
        rows = iter(range(last, -1, -1))

        def dying(ledger: Ledger, kind: str, key: str, **facts: object) -> None:
            left = next(rows, -1)  # noqa: B023
            if left < 0 or (left == 0 and last % 2 == 0):  # noqa: B023
                raise Killed
            append(ledger, kind, key, **facts)
            if left == 0:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "append", dying)
            try:
                studied.train(runs_of(8, 12))
            except Killed:
                deaths.append(last)
                continue
            break
    assert len(deaths) >= 3
    assert studied.ends() == {name: ("finished", digest) for name, digest in alone.items()}
    assert len(list(every(studied.runs))) == 2
    assert sorted(here.commands) == ["resume", "train", "train"]


def test_a_driver_that_dies_around_a_job_finds_its_answer(studied: Studied, here: Here, alone: dict[str, str]) -> None:
    for moment in ("before", "after", "after"):

        def dies(when: str, work: Work) -> None:
            if when == moment:  # noqa: B023
                raise Killed

        with pytest.raises(Killed):
            studied.train(runs_of(8, 12), Inline(dies))
    studied.train(runs_of(8, 12))
    assert studied.ends() == {name: ("finished", digest) for name, digest in alone.items()}
    assert here.commands == ["train", "train"]


def test_runs_that_others_have_finished_or_begun_count(studied: Studied, here: Here, alone: dict[str, str]) -> None:
    done, begun = runs_of(8, 12)
    result_alone(done, studied.runs)
    run, session = assemble.start(begun.blueprint, studied.runs, None)
    half = stopped(run, session, at=60)
    first, second = studied.train([done, begun])
    assert here.commands == ["resume"] and second.directory == half
    assert studied.ends() == {name: ("finished", digest) for name, digest in alone.items()}
    assert (first.was_before, second.was_before) == (True, False)
    studied.folder = studied.folder.with_name("another")
    assert [each.was_before for each in studied.train([done, begun])] == [True, True]
    assert studied.launcher.performed == [] and len(studied.ends()) == 2


def test_other_versions_make_another_run(studied: Studied, here: Here, alone: dict[str, str]) -> None:
    done, begun = runs_of(8, 12)
    studied.train([done])
    run, session = assemble.start(begun.blueprint, studied.runs, None)
    stopped(run, session, at=60)
    for path in every(studied.runs):
        as_if_begun_elsewhere(path, torch="2.0.0")
    outcomes = studied.train([done, begun])
    assert here.commands == ["train", "resume", "train", "train"]
    assert len(list(every(studied.runs))) == 4
    said = " ".join(studied.said)
    assert "but under other versions (torch: 2.0.0 then, " in said and "it is trained anew" in said
    assert "cannot be resumed exactly (torch: 2.0.0 then, " in said and "it is begun anew" in said
    assert [each.digest for each in outcomes] == [*alone.values()]
    assert [each.was_before for each in studied.train([done, begun])] == [True, True]


def test_a_process_that_ends_early_is_started_again_as_long_as_it_gets_on(
    studied: Studied, here: Here, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here.stops_at = [20, 30, 50, 90]
    (outcome,) = studied.train(runs_of(8))
    assert here.commands == ["train", *["resume"] * 4] and outcome.digest == alone[outcome.run.name]
    lost = lambda *_: {"status": "lost", "exit_code": 1, "message": "job 1 ended without an answer"}  # noqa: E731
    monkeypatch.setattr(worker, "_answer", lost)
    (outcome,) = studied.train(runs_of(12))
    assert (outcome.status, outcome.message) == ("failed", "job 1 ended without an answer")
    assert studied.launcher.performed == [outcome.run.name] * TRIES


def test_a_study_that_is_stopped_has_interrupted_runs_and_no_failures(
    studied: Studied, here: Here, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is stopped before it has a directory, in the midst of imports, and says nothing."""

    class Late(Inline):
        alive: ClassVar[list[Work]] = []

        def start(self, works: Sequence[Work]) -> list[str]:
            self.alive.extend(works)
            return ["0"]

        def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
            return {job: "running" for job in jobs if self.alive}

        def wait(self, seconds: float) -> None:
            raise StudyStopped(signal.SIGTERM)

        def stop(self, jobs: Sequence[str]) -> None:
            with monkeypatch.context() as patch:
                silent = {"status": "failed", "exit_code": 143, "message": "the process ended without a word"}
                patch.setattr(worker, "_answer", lambda *_: silent)
                worker.perform(self.alive.pop())

    runs = runs_of(8, 12)
    with pytest.raises(StudyStopped, match="stopped \\(SIGTERM\\), the runs are saved: the same command again"):
        studied.train(runs, Late())
    assert studied.said == [f"{runs[0].name}: training", "stopping: 1 run to be saved"]
    assert [end for end, _ in studied.ends().values()] == ["interrupted"]
    studied.train(runs)
    assert studied.ends() == {name: ("finished", digest) for name, digest in alone.items()}


def test_a_directory_is_named_also_where_its_process_was_killed(
    studied: Studied, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = here._trained

    def killed(arguments: Sequence[str]) -> dict[str, object]:
        here.stops_at = [50]
        return {**begin(arguments), "run": None, "status": "failed", "exit_code": 137, "message": "SIGKILL"}

    monkeypatch.setattr(here, "_trained", killed)
    (outcome,) = studied.train(runs_of(8))
    assert (outcome.status, outcome.exit_code) == ("failed", 137) and [outcome.directory] == [*every(studied.runs)]


def test_what_diverged_is_a_result_and_what_failed_is_tried_again(studied: Studied, here: Here) -> None:
    wild = runs_of(8, more=("optimizers.critic.learning_rate=1e29",))
    raises = runs_of(8, more=('environment={ kind = "test/drift", raises_at = 70 }',))
    outcomes = studied.train([*wild, *raises])
    assert [(each.status, each.exit_code) for each in outcomes] == [("diverged", 5), ("failed", 6)]
    assert any(line.startswith(f"{wild[0].name}: diverged (exit code 5): ") for line in studied.said)
    again = studied.train([*wild, *raises])
    assert here.commands == ["train", "train", "resume"]
    assert [(each.status, each.was_before) for each in again] == [("diverged", True), ("finished", False)]
    assert again[0].message.splitlines()[0] in outcomes[0].message
    for name in ("ledger.jsonl", "answers"):
        path = studied.folder / name
        path.unlink() if path.is_file() else shutil.rmtree(path)
    (found,) = studied.train(wild)
    assert found.was_before and found.message and outcomes[0].message.startswith(found.message)


def test_a_ledger_is_mended_from_the_run_directories(studied: Studied, here: Here, alone: dict[str, str]) -> None:
    kept, lost = runs_of(8, 12)
    first, second = studied.train([kept, lost])
    assert first.directory and second.directory
    shutil.rmtree(second.directory)
    with holding(studied.folder) as ledger:
        ledger.append("failed", kept.key, exit_code=7, message="no")
    studied.train([kept, lost])
    assert here.commands == ["train"] * 3
    assert f"{kept.name}: the ledger said failed: mended" in studied.said
    assert f"{lost.name}: the ledger says finished in {second.directory}, which is gone: it is trained again" in (
        studied.said
    )
    assert studied.ends() == {name: ("finished", digest) for name, digest in alone.items()}


def test_a_finished_run_whose_last_checkpoint_is_damaged_is_made_whole(
    studied: Studied, here: Here, alone: dict[str, str]
) -> None:
    (run,) = runs_of(8)
    (outcome,) = studied.train([run])
    assert outcome.directory is not None
    path = outcome.directory / "checkpoints" / "step-000000000100" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    (studied.folder / "ledger.jsonl").unlink()
    (again,) = studied.train([run])
    assert here.commands == ["train", "resume"] and again.digest == alone[run.name]
    assert any("the last checkpoint in" in line and "is damaged" in line for line in studied.said)


def test_a_study_has_one_driver(studied: Studied) -> None:
    with holding(studied.folder), pytest.raises(StudyInUse, match=f"by process {os.getpid()}: ") as caught:
        studied.train(runs_of(8))
    assert caught.value.exit_code == 3 and not studied.runs.exists()


def test_two_studies_that_share_a_run_train_it_once(
    studied: Studied, here: Here, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim of another study's process is waited for, before its run directory is there and after."""
    (run,) = runs_of(8)
    claims = studied.folder.parent / ".claims"
    claims.mkdir(parents=True)
    claim = open_lock(claims / run.key)
    lock_exclusive(claim, 0)
    monkeypatch.setattr(driver, "WAITING_SECONDS", 0.0)
    looks = iter(range(3))

    def ends(seconds: float) -> None:
        if next(looks, None) == 1:
            result_alone(run, studied.runs)
            os.close(claim)

    launcher = Inline()
    launcher.wait = ends  # type: ignore[method-assign]
    (outcome,) = studied.train([run], launcher)
    assert (outcome.status, outcome.was_before, outcome.digest) == ("finished", True, alone[run.name])
    assert here.commands == [] and f"{run.name}: waiting for a process that begins it" in studied.said


def test_jobs_that_outlive_their_driver_are_not_submitted_twice(
    studied: Studied, here: Here, alone: dict[str, str]
) -> None:
    """As on a cluster: the driver dies, its job waits in the queue, then trains."""

    class Cluster(Inline):
        queue: ClassVar[dict[str, Work]] = {}

        def start(self, works: Sequence[Work]) -> list[str]:
            jobs = [f"{len(self.queue) + index}" for index in range(len(works))]
            self.queue.update(zip(jobs, works, strict=True))
            return jobs

        def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
            return {job: "waiting" for job in jobs if job in self.queue}

        def wait(self, seconds: float) -> None:
            self._dies("wait", next(iter(self.queue.values())))
            for job in [*self.queue]:
                worker.perform(self.queue.pop(job))

        def stop(self, jobs: Sequence[str]) -> None:
            raise Killed

    def dies(when: str, work: Work) -> None:
        raise Killed

    runs = runs_of(8)
    with pytest.raises(Killed):
        studied.train(runs, Cluster(dies))
    assert len(Cluster.queue) == 1
    studied.train(runs, Cluster())
    assert here.commands == ["train"] and studied.ends() == {runs[0].name: ("finished", alone[runs[0].name])}
    assert len(studied.said) == 2 and studied.said[0] == f"{runs[0].name}: job 0 of an earlier process goes on"
    assert re.fullmatch(rf"{runs[0].name}: finished: return -?[\d.]+", studied.said[1])
    (row,) = [row for row in read(studied.folder / "ledger.jsonl") if row["type"] == "started"]
    assert (row["launcher"], row["job"]) == ("inline", "0")


def test_runs_that_began_in_one_program_go_on_in_one(studied: Studied, here: Here, tmp_path: Path) -> None:
    """The first of them resumes all of its program; the others are found finished."""
    runs = runs_of(8, more=("algorithm.discount=0.9",)) + runs_of(8, more=("algorithm.discount=0.8",))
    whole = assemble.start_together([NewRun(run.name, run.blueprint) for run in runs], tmp_path / "whole")
    launch.train_together_to_end(whole, quiet=True)
    expected = [state_digest(each.run.path) for each in whole.runs]
    begun = assemble.start_together([NewRun(run.name, run.blueprint) for run in runs], studied.runs)
    with pytest.raises(Interrupted):
        begun.train(Stopper(60))
    for each in begun.runs:
        each.session.close()
        each.run.close()
    outcomes = studied.train(runs)
    assert here.commands == ["resume"] and len(list(every(studied.runs))) == 2
    assert [each.digest for each in outcomes] == expected != [None, None]


def test_a_directory_that_a_killed_process_was_about_to_make_is_none(studied: Studied, here: Here) -> None:
    (run,) = runs_of(8)
    half = stopped(*assemble.start(run.blueprint, studied.runs, None), at=60)
    half.rename(half.with_name(f".tmp-{half.name}"))
    (outcome,) = studied.train([run])
    assert here.commands == ["train"] and outcome.directory and not outcome.directory.name.startswith(".")


def test_a_reader_of_a_lock_does_not_keep_its_run_from_being_opened(
    studied: Studied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``status`` looks at the lock of a run in the instant in which its process is about to take it."""
    (run,) = runs_of(8)
    half = stopped(*assemble.start(run.blueprint, studied.runs, None), at=60)
    reader = open_lock(half / "lock")
    lock_shared(reader)
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: os.close(reader))
    opened = open_run(half)
    opened.close()


def test_the_store_is_told_study_and_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = runs_of(8, more=('tracking={ kind = "mlflow" }',))
    about = {"name": "widths", "folder": "f", "points": {run.key: {"label": "width=8", "point": {"width": 8}}}}
    monkeypatch.setenv(STUDY, json.dumps(about))
    tags: list[dict[str, str]] = []
    monkeypatch.setattr(Uploader, "start", lambda *arguments: tags.append(arguments[2].tags))
    opened, session = assemble.start(run.blueprint, tmp_path, None)
    session.upload()
    session.close()
    opened.close()
    assert {"study": "widths", "point": "width=8"}.items() <= tags[0].items()
    monkeypatch.setenv(STUDY, "[]")
    with pytest.raises(NoStudy, match="COMPOSER_STUDY is set, but not by a study: unset it"):
        assemble.start(run.blueprint, tmp_path, None)
