"""Points share programs where that pays, as the study alone decides, and train as the programs that they name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from study_files import write
from tiny_studies import runs_of
from typer.testing import CliRunner

from composer.cli import app
from composer.studies.planning.fleets import LEAST_PROGRAMS, WORTH, fleets, gain, units
from composer.studies.study.load import load_study
from composer.studies.study.points import StudyRun
from composer.training.runs.directory import read_facts
from composer.training.runs.shared_program import read_program


def rates(count: int, *more: str, width: int = 8) -> list[StudyRun]:
    """Runs that differ in a number."""
    return [
        runs_of(width, more=(f"optimizers.critic.learning_rate={1e-3 * (1 + each)}", *more))[0] for each in range(count)
    ]


def test_points_that_differ_in_numbers_share_programs_as_the_study_decides() -> None:
    runs = rates(2 * LEAST_PROGRAMS)
    programs = fleets([*runs, *rates(1, width=16)])
    assert [len(each) for each in programs] == [2] * LEAST_PROGRAMS + [1]
    assert [run for each in programs for run in each][:-1] == runs
    assert {len(each) for each in fleets(rates(2 * LEAST_PROGRAMS - 1))} == {1}, "a few cores have work"
    compiled = rates(2 * LEAST_PROGRAMS, "compute.compile=always")
    assert {len(each) for each in fleets(compiled)} == {1}, "compiled updates were not measured"
    assert {len(each) for each in fleets(rates(2 * LEAST_PROGRAMS, width=2048))} == {1}, "arithmetic takes the time"


@pytest.mark.parametrize(
    ("flops", "count", "low", "high"), [(1.7e7, 4, 1.50, 1.70), (1.7e8, 8, 1.57, 1.73), (3.4e8, 8, 1.50, 1.59)]
)
def test_the_rule_is_what_was_measured(flops: float, count: int, low: float, high: float) -> None:
    assert low / WORTH < gain(int(flops), count) < high * WORTH
    assert gain(int(2e9), 8) < WORTH


def test_a_program_with_an_absent_run_begins_the_others_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a study starts is a command; a run that is finished leaves its place."""
    runs = rates(3, "tracking={ kind = 'none' }")
    (whole,), (some,) = units([runs], runs), units([runs], [runs[0], runs[2]])
    assert some.runs == (runs[0], runs[2]) and some.arguments == (*whole.arguments, "--absent", "1")
    digests = []
    for number, unit in enumerate((whole, some)):
        arguments = ["train", *unit.arguments, "--runs", str(tmp_path / f"{number}"), "--json"]
        answer = CliRunner().invoke(app, arguments, catch_exceptions=False)
        rows = json.loads(answer.stdout.splitlines()[-1])["runs"]
        assert [row["status"] for row in rows] == ["finished"] * len(unit.runs)
        digests.append([json.loads(digest_of(row["run"]))["digest"] for row in rows])
    assert digests[1] == [digests[0][0], digests[0][2]]
    program = read_program(read_facts(Path(rows[0]["run"])))
    assert program is not None and program.runs[1] is None
    shutil.rmtree(tmp_path)


def digest_of(run: str) -> str:
    return CliRunner().invoke(app, ["digest", run, "--json"]).stdout.splitlines()[-1]


def test_a_study_may_want_each_run_by_itself(tmp_path: Path) -> None:
    axis = '[axis]\nrate = [1e-3, 3e-4]\n[set]\n"optimizers.critic.learning_rate" = "${axis.rate}"\n'
    assert load_study(write(tmp_path, axis)).is_together
    assert not load_study(write(tmp_path, f"together = false\n{axis}")).is_together
