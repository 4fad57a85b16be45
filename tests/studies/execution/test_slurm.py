"""Jobs of Slurm, against a toy of its commands that runs nothing, and what a job does with its signals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from composer.studies import Refused
from composer.studies.execution import slurm as slurm_module
from composer.studies.execution import worker
from composer.studies.execution.slurm import SlurmLauncher, SlurmTable
from composer.studies.execution.slurm_job import SlurmJob
from composer.studies.execution.work import Member, Work

TOY = {
    "sbatch": 'n=$(($(cat $TOY/last 2>/dev/null || echo 100) + 1)); echo $n > $TOY/last; cp "$1" $TOY/$n.sh\n'
    'echo "Submitted batch job $n"',
    "squeue": '[ -e $TOY/down ] && exit 1; echo x >> $TOY/asked; cat "$TOY/queue"',
    "scancel": 'echo "$@" > $TOY/cancelled',
    "srun": "exit 1",
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "toy"
    folder.mkdir()
    for name, text in TOY.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    (folder / "queue").touch()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("TOY", str(folder))
    monkeypatch.setattr(slurm_module, "ASK_SECONDS", 0.0)
    return folder


def work(folder: Path, name: str = "a") -> Work:
    answer, log = folder / f"{name}.json", folder / f"{name}.log"
    return Work((Member(name, name, 10),), ("x.toml",), folder / "runs", folder / "claims", answer, log)


def launcher(folder: Path, **asked: object) -> SlurmLauncher:
    return SlurmLauncher(folder / "slurm", SlurmTable.model_validate(asked), threads=3, slots=8)


def test_works_are_one_array_that_asks_for_what_is_declared(toy: Path, tmp_path: Path) -> None:
    submitting = launcher(tmp_path, partition="gpu", time="1-02:30:00", gpus_per_task=1, mem_gb=16)
    assert submitting.start([work(tmp_path, "a"), work(tmp_path, "b")]) == ["101_0", "101_1"]
    script = (toy / "101.sh").read_text()
    for line in ("partition=gpu", "time=1590", "gpus-per-task=1", "mem=16GB", "cpus-per-task=3", "array=0-1%2"):
        assert f"#SBATCH --{line}\n" in script
    assert "#SBATCH --requeue\n" in script and "--signal=USR2@120" in script
    assert submitting.start([work(tmp_path, "c")]) == ["102"]


def test_a_job_is_found_again_by_its_number_and_forgotten_when_slurm_has_ended_it(toy: Path, tmp_path: Path) -> None:
    jobs = launcher(tmp_path).start([work(tmp_path, "a"), work(tmp_path, "b")])
    (toy / "queue").write_text("101_0 RUNNING\n101_1 PENDING\n7 RUNNING\n")
    later = launcher(tmp_path)
    assert later.states([*jobs, "999"]) == {"101_0": "running", "101_1": "waiting"}
    (toy / "queue").write_text("101_0 COMPLETING\n101_1 NODE_FAIL\n")
    assert later.states(jobs) == {"101_0": "running"}


def test_where_slurm_does_not_answer_no_job_counts_as_ended(toy: Path, tmp_path: Path) -> None:
    (toy / "down").touch()
    assert launcher(tmp_path).states(["101"]) == {"101": "waiting"}


def test_slurm_is_not_asked_more_often_than_it_likes(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_module, "ASK_SECONDS", 60.0)
    asking = launcher(tmp_path)
    (toy / "queue").write_text("101 RUNNING\n")
    for _ in range(3):
        asking.states(["101", "102"])
    assert (toy / "asked").read_text() == "x\n"
    assert asking.start([work(tmp_path)]) == ["101"]
    assert asking.states(["101"]) == {"101": "waiting"}, "as it was submitted, until Slurm is asked again"


def test_stopping_cancels_and_leaves_word_for_a_job_that_begins_just_then(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = launcher(tmp_path)
    stopping.start([work(tmp_path)])
    stopping.stop(["101"])
    assert (toy / "cancelled").read_text() == "101\n"
    for name, value in {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "101"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(worker, "perform", lambda *_: pytest.fail("it was stopped"))
    before = slurm_module.signal.getsignal(slurm_module.signal.SIGTERM)
    try:
        assert SlurmJob()(work(tmp_path), tmp_path / "slurm" / "stopped")["status"] == "not started"
    finally:
        slurm_module.signal.signal(slurm_module.signal.SIGTERM, before)


def test_before_the_time_limit_the_run_saves_itself_and_its_job_is_queued_again(tmp_path: Path) -> None:
    text = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print(1, flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, encoding="utf-8")
    assert process.stdout and process.stdout.readline() == "1\n"
    job = SlurmJob()
    job._started(process)
    again = job.checkpoint(work(tmp_path), tmp_path)
    assert process.poll() == 7, "it has ended by itself before the job is queued again, and is still to be reaped"
    assert isinstance(again.function, SlurmJob) and again.args == (work(tmp_path), tmp_path)
    process.stdout.close()


def test_absent_slurm_and_refused_jobs_are_said_in_words(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (toy / "sbatch").write_text("#!/bin/sh\necho 'invalid partition specified: gpu' >&2; exit 1\n")
    with pytest.raises(Refused, match=r"Slurm takes no job: .*invalid partition"):
        launcher(tmp_path).start([work(tmp_path)])
    (toy / "squeue").unlink()
    with pytest.raises(Refused, match="no Slurm here: no squeue on the path; --slurm local"):
        launcher(tmp_path)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(Refused, match=r'install "rl-composer\[slurm\]"'):
        launcher(tmp_path)
