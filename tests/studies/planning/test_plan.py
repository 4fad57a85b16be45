"""What a study costs is what its runs declare and have not done yet; above a limit it is not trained unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from study_files import write
from tiny_runs import stopped
from tiny_studies import Here, Studied, here, runs_of, studied
from typer.testing import CliRunner

from composer.blueprint.forecast.flops import update_flops
from composer.cli import app
from composer.spec.errors import ComposerError
from composer.studies.execution.study_run import folder_of, run_study
from composer.studies.planning import calibration
from composer.studies.planning.calibration import Pace, calibrate, known_paces, workload
from composer.studies.planning.cost import costs
from composer.studies.planning.limits import AboveLimit, exceeded
from composer.studies.planning.plan import plan, text
from composer.studies.study.load import load_study
from composer.studies.study.study_file import Limits
from composer.training import assemble

__all__ = ["here", "studied"]

STUDY = """
[axis]
rate = [1e-3, 3e-4]
[set]
"environment" = { kind = "test/drift" }
"optimizers.critic.learning_rate" = "${axis.rate}"
"training.env_steps" = 100
"checkpoint.every" = 40
"""


def test_what_is_finished_or_half_trained_is_counted_as_what_is_left(studied: Studied, here: Here) -> None:
    runs = runs_of(8, 12, 16)
    studied.train(runs[:1])
    stopped(*assemble.start(runs[1].blueprint, studied.runs, None), at=60)
    done, begun, waiting = costs(runs, studied.runs)
    assert (done.left, waiting.left) == (0, 1) and begun.left == pytest.approx(0.39, abs=0.02)
    assert waiting.flops == waiting.updates * update_flops(runs[2].blueprint) > 0
    assert waiting.interactions == 100 > waiting.warmup > 0
    used = sum(path.stat().st_size for path in done_directory(studied).rglob("*") if path.is_file())
    assert used / 3 < done.disk < 3 * used, "the forecast of the run directory, and its size"
    table = plan("tiny", runs, studied.runs, studied.folder, 1, Limits(), studied.said.append, is_calibrated=False)
    assert (table["finished"], table["begun"], table["runs"], table["seeds"]) == (1, 1, 3, 2)
    assert table["updates"] == round(begun.updates * begun.left + waiting.updates)
    assert "2 runs to train (1 finished, 1 begun of 3)" in text(table) and "guessed" in text(table)
    assert not (studied.folder / calibration.CALIBRATION).exists()


def done_directory(studied: Studied) -> Path:
    (path,) = [path.parents[1] for path in studied.runs.glob("*/checkpoints/step-000000000100")]
    return path


def test_runs_of_one_program_are_timed_once_and_remembered(studied: Studied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "LAP_SECONDS", 0.01)
    monkeypatch.setattr(calibration, "_start_seconds", lambda: 2.0)
    more = [runs_of(8, more=(f"optimizers.critic.learning_rate={rate}",))[0] for rate in (1e-2, 1e-3)]
    found = costs([*more, *runs_of(16)], studied.runs)
    paces = calibrate(found, studied.folder, 1, studied.said.append)
    assert [line.partition(" (")[2] for line in studied.said] == ["1 of 2)", "2 of 2)"]
    assert calibrate(found, studied.folder, 1, studied.said.append) == paces == known_paces(studied.folder)
    assert len(studied.said) == 2 and list(studied.runs.glob("*")) == []
    pace = paces[workload(found[0], 1)]
    assert pace.start > 2 and 0 < pace.trained[0] <= pace.trained[1] <= pace.trained[2]
    assert workload(found[0], 2) not in paces, "another number of threads takes another time"


def test_a_plan_takes_seconds_however_heavy_its_runs_are(studied: Studied, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a program one run is measured within the budget; a run whose lap takes seconds is not measured."""
    monkeypatch.setattr(calibration, "LAP_SECONDS", 0.01)
    monkeypatch.setattr(calibration, "_start_seconds", lambda: 2.0)
    monkeypatch.setattr(calibration, "BUDGET", -1.0)
    tasks = [runs_of(8, more=(f"evaluation.episodes={number}",))[0] for number in (1, 2)]
    first, other = found = costs(tasks, studied.runs)
    assert workload(first, 1) != workload(other, 1) and first.update.program == other.update.program
    assert calibrate(found, studied.folder, 1, studied.said.append) == {}
    assert studied.said[-1].startswith("2 more were not measured")
    once = iter([0.0, 0.0])
    monkeypatch.setattr(calibration, "BUDGET", 10.0)
    measured = Pace(1.0, 0.1, (1.0, 2.0, 3.0), 4.0)
    monkeypatch.setattr(calibration, "_measured", lambda cost, start: measured)
    monkeypatch.setattr(calibration.time, "perf_counter", lambda: next(once, 100.0))
    assert set(calibrate(found, studied.folder, 1, studied.said.append).values()) == {measured}
    assert set(known_paces(studied.folder)) == {workload(first, 1)}, "the other has its pace for now"
    monkeypatch.setattr(calibration, "HEAVY", 0.0)
    said = len(studied.said)
    assert (
        calibrate(costs(runs_of(16), studied.runs), studied.folder, 1, studied.said.append).keys()
        == known_paces(studied.folder).keys()
    )
    assert len(studied.said) == said


def test_an_evaluation_is_broken_off(studied: Studied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "LAP_SECONDS", 0.01)
    monkeypatch.setattr(calibration, "EVALUATION_SECONDS", 0.0)
    (cost,) = costs(runs_of(8), studied.runs)
    whole = calibration._measured(cost, 0.0).evaluation
    assert whole > 0


def test_seconds_of_a_run_are_those_of_its_parts(studied: Studied) -> None:
    (cost,) = costs(runs_of(8), studied.runs)
    pace = Pace(start=3.0, random=0.1, trained=(0.5, 1.0, 2.0), evaluation=7.0)
    later = cost.interactions - cost.warmup
    fixed = 3 + 0.1 * cost.warmup + 7.0 * cost.evaluations
    assert pace.seconds(cost) == pytest.approx((fixed + 0.5 * later, fixed + later, fixed + 2 * later))


def test_limits_are_those_of_the_study_and_never_more_than_there_is() -> None:
    table = {"hours": {"middle": 30.0}, "disk": 60 * 2**30, "disk_free": 100 * 2**30, "memory": 9, "memory_free": 100}
    assert [each["limit"] for each in exceeded(table, Limits())] == ["hours", "disk"]
    assert exceeded(table, Limits(hours=30, disk=70)) == []
    (found,) = exceeded(table | {"disk": 91 * 2**30}, Limits(hours=30, disk=1_000))
    assert found["text"] == "91.0 GiB of disk, the limit is 90.0 GiB (limits.disk)"
    assert [each["limit"] for each in exceeded(table | {"memory": 91}, Limits(hours=30, disk=70))] == ["memory"]


def test_a_study_above_its_limits_is_trained_only_with_yes(tmp_path: Path, here: Here) -> None:
    file = write(tmp_path, f"{STUDY}[limits]\nhours = 1e-9\n")
    study, runs = load_study(file), tmp_path / "runs"
    with pytest.raises(
        AboveLimit, match=r"hours, the limit is 1e-09 \(limits\.hours\)\. Train it with --yes"
    ) as caught:
        run_study(study, runs, None, (), lambda _: None, says_yes=False)
    assert isinstance(caught.value, ComposerError) and caught.value.exit_code == 7
    assert here.commands == [] and not folder_of(study, runs, None).exists()
    answer = CliRunner().invoke(app, ["study", "run", str(file), "--runs", str(runs), "--json"])
    assert answer.exit_code == 7 and json.loads(answer.stdout.splitlines()[-1])["exit_code"] == 7
    planned = CliRunner().invoke(app, ["study", "plan", str(file), "--runs", str(runs), "--no-calibrate", "--json"])
    table = json.loads(planned.stdout.splitlines()[-1])
    assert planned.exit_code == 0 and table["above"][0]["limit"] == "hours" and table["runs"] == 2
    assert run_study(study, runs, None, (), lambda _: None, says_yes=True)["finished"] == 2
