"""The report of a study: what it says, which figures fit its axes, and what is missing."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from composer.cli import app
from composer.studies.execution.outcome import Outcome
from composer.studies.report.report import lines, write_report
from composer.studies.sequential.permutation import DESIGN_FILE
from composer.studies.study.load import Study, load_study
from tests.comparison_runs import write_run

STUDY = """
study = 1
description = "What does the width do?"
blueprint = "dmc/sac_mlp"
tasks = ["walker-walk", "cheetah-run"]
seeds = 3
[axis]
width = [32, 64]
ratio = [1, 2]
[set]
"algorithm.warmup_interactions" = 100
"algorithm.batch_size" = "${axis.width}"
"algorithm.update_to_data" = "${axis.ratio}"
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "width.toml").write_text(STUDY)
    return load_study(tmp_path / "width.toml")


def outcomes_of(study: Study, tmp_path: Path, missing: int = 0) -> list[Outcome]:
    """Seed s of a point scores ``10 width + s``, half as much at ratio 2; the last runs are missing."""
    found = []
    for number, run in enumerate(study.runs):
        if number >= len(study.runs) - missing:
            found.append(Outcome(run, "waiting", 0, None))
            continue
        width, ratio = int(run.point.values["width"]), int(run.point.values["ratio"])
        path = tmp_path / f"run{number}"
        values = {seed: (0.0, 10.0 * width / ratio + seed) for seed in range(3)}
        overrides = [key for key in run.point.overrides if not key.startswith(("seeds", "environment"))]
        write_run(path, "sac-mlp", values, run.task, steps=(500, 1000), overrides=overrides)
        (path / "parameters.json").write_text(json.dumps({"actor": {"count": 100 * width}}))
        found.append(Outcome(run, "finished", 0, path))
    return found


def test_what_the_axes_do_is_what_a_study_concludes(study: Study, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    files, (width, ratio), _ = write_report(study, outcomes_of(study, tmp_path), tmp_path / "out")
    assert width.startswith("width, averaged over 4 combinations") and "width=64 scores higher than width=32" in width
    assert ratio.startswith("ratio, averaged over") and "ratio=1 scores higher than ratio=2" in ratio
    *said, last = lines([width, ratio], [str(path) for path in files])
    assert said == [width, ratio] and last.endswith(f"figures in {tmp_path / 'out' / 'figures'}")
    assert "report.html" in last and ".svg" not in last


def test_a_study_with_seeds_added_until_decided_does_not_conclude_by_fixed_p_values(
    study: Study, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / DESIGN_FILE).write_text("{}")
    files, concluded, _ = write_report(study, outcomes_of(study, tmp_path), tmp_path / "out")
    assert concluded == []
    pages = [path.read_text() for path in files if path.name in ("report.md", "report.html")]
    assert len(pages) == 2 and all("Seeds were added until the study was decided" in page for page in pages)


def test_a_report_has_sentences_tables_and_the_figures_that_fit_the_axes(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    outcomes = outcomes_of(study, tmp_path)
    written = {path.relative_to(folder).as_posix(): path for path in write_report(study, outcomes, folder).files}
    drawn = ["curves", "aggregates", "profile", "efficiency", "improvement"]
    drawn += ["heat-width-ratio", "against-width", "against-ratio", "against-parameters", "against-operations"]
    assert set(written) == {"report.md", "report.html", "results.csv", *(f"figures/{name}.svg" for name in drawn)}
    text = written["report.md"].read_text()
    assert text.startswith("# width\n\nWhat does the width do? 4 points over width (2), ratio (2);")
    assert "- 8 of 8 runs of the study are in this report" in text
    assert "## walker-walk at environment step 1,000" in text and "width=32, ratio=1" in text
    assert " pairs are decided at 5% (Holm over 12 comparisons)" in text and "Nearest to a decision: " in text
    assert "| width=32, ratio=1 - width=64, ratio=1 | -3" in text
    assert all(f"](figures/{name}.svg)" in text for name in drawn)
    page = written["report.html"].read_text()
    assert page.count("<svg") == len(drawn) and "<script" not in page
    rows = list(csv.DictReader(written["results.csv"].read_text().splitlines()))
    assert len(rows) == 8 * 3 and list(rows[0])[:5] == ["width", "ratio", "task", "seed", "env_step"]
    best = [row for row in rows if (row["width"], row["ratio"], row["seed"]) == ("64", "1", "2")]
    assert {(float(row["evaluation/return"]), row["parameters"]) for row in best} == {(642.0, "6400")}
    before = {name: path.read_bytes() for name, path in written.items()}
    (folder / "figures" / "old.svg").touch()
    again = write_report(study, outcomes, folder).files
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in again} == before, "the same bytes"
    assert not (folder / "figures" / "old.svg").exists()


def test_a_report_of_a_study_that_is_half_done_says_what_is_missing(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    outcomes = outcomes_of(study, tmp_path, missing=3)
    (tmp_path / "run0" / "journal.jsonl").write_bytes(b"")
    text = next(path for path in write_report(study, outcomes, folder).files if path.name == "report.md").read_text()
    assert "- 5 of 8 runs of the study are in this report; missing: width=64, ratio=1 on cheetah-run (waiting)," in text
    assert "- width=32, ratio=1 on walker-walk cannot be read:" in text
    nothing = [Outcome(run, "waiting", 0, None) for run in study.runs]
    files = {path.name: path for path in write_report(study, nothing, folder).files}
    assert set(files) == {"report.md", "report.html"} and "No run has ended yet." in files["report.md"].read_text()


def test_the_command_writes_a_report_before_any_run(study: Study, tmp_path: Path) -> None:
    arguments = ["study", "report", str(study.file), "--runs", str(tmp_path / "runs"), "--json"]
    answered = CliRunner().invoke(app, arguments)
    assert answered.exit_code == 0, answered.stderr
    table = json.loads(answered.stdout)
    assert table["ended"] == 0 and len(table["missing"]) == 8 and Path(table["report"][0]).is_file()
    assert "0 of 8 runs have ended" in answered.stderr
