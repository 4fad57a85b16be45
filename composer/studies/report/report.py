"""Write the report of a study into its folder: Markdown, one HTML page, figures, and scores as CSV.

The same runs give the same bytes. Tests: tests/studies/test_study_report.py.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple

from composer.spec.errors import ComposerError
from composer.spec.quantities import counted
from composer.studies.compare.compare import Comparison, compare_readings
from composer.studies.compare.read_runs import Agent, Reading, read_run
from composer.studies.compare.report import Section, sections
from composer.studies.execution.outcome import Outcome
from composer.studies.figures.draw import agent_looks
from composer.studies.figures.page import markdown, page
from composer.studies.figures.sheet import Sheet
from composer.studies.report.choose import cost_columns, figures
from composer.studies.report.effects import NOTE, effects
from composer.studies.report.publish import publish
from composer.studies.sequential.permutation import DESIGN_FILE
from composer.studies.study.load import Study

REPORT: Final = "report"
FIGURES: Final = "figures"
RESULTS: Final = "results.csv"
ENDED: Final = ("finished", "diverged")


SEQUENTIAL: Final = (
    "Seeds were added until the study was decided, and the p-values and intervals below are those of a number of seeds"
    " that is fixed beforehand: what is decided is what `composer study run --until decided` has said."
)


class Report(NamedTuple):
    """What was written, and what it says."""

    files: list[Path]
    conclusions: list[str]
    """What the data decide: of each axis where there are several, otherwise of the points, over all tasks.

    None where seeds were added until the study was decided: the sequential test concludes there.
    """
    problem: str | None = None
    """Why the report is not shown in the tracking store, where it should be."""


def lines(conclusions: Sequence[str], files: Sequence[str]) -> list[str]:
    """A report for people: what it concludes, and where it is."""
    paths = [Path(file) for file in files]
    drawn = [path for path in paths if path.parent.name == FIGURES]
    places = [str(path) for path in paths if path not in drawn]
    places += [f"{counted(len(drawn), 'figure')} in {drawn[0].parent}"] if drawn else []
    return [*conclusions, f"report: {', '.join(places)}"]


def write_report(study: Study, outcomes: Sequence[Outcome], folder: Path) -> Report:
    """Write ``report.md``, ``report.html``, ``results.csv`` and ``figures/*.svg``.

    Runs that have not ended are named as missing; without any that have, the report says only that.
    """
    ended = [each for each in outcomes if each.status in ENDED and each.directory is not None]
    notes = [_missing(study, outcomes, ended)]
    comparison = _compared(ended, notes)
    sheets = [] if comparison is None else figures(comparison, notes)
    parts, shown = list[Section](), list[Section]()
    if comparison is not None:
        found = effects(study.axes, comparison)
        parts = [*found, *sections(comparison.table)]
        shown = found or parts[-1:]
        notes += [*([NOTE] if found else []), *comparison.table["notes"]]
    # What was looked at until it differed has other p-values than what had its number of seeds from the beginning.
    is_sequential = (folder / DESIGN_FILE).is_file()
    lead = " ".join(
        filter(None, (_ended(study.description), _lead(study, comparison), SEQUENTIAL if is_sequential else ""))
    )
    files = _write_figures(sheets, folder / FIGURES)
    pictures = [(f"{FIGURES}/{file.name}", sheet.caption) for file, sheet in zip(files, sheets, strict=True)]
    looks = None if comparison is None else agent_looks(comparison)
    texts = {
        f"{REPORT}.md": markdown(study.name, parts, pictures, notes, lead),
        f"{REPORT}.html": page(study.name, parts, sheets, notes, lead, looks),
        RESULTS: "" if comparison is None else results(study, comparison),
    }
    written = [_replace(folder / name, text) for name, text in texts.items() if text]
    concluded = [] if is_sequential else [sentence for part in shown for sentence in part.sentences]
    problem = publish(study.name, ended, sheets, written + files, folder)
    return Report(written + files, concluded, problem)


def _ended(text: str) -> str:
    """``text`` with a full stop, where it has no end of its own."""
    return f"{text}." if text and text[-1] not in ".?!:" else text


def _compared(ended: Sequence[Outcome], notes: list[str]) -> Comparison | None:
    """The comparison of the runs, each under the name of its point; None where they cannot be compared."""
    readings: list[Reading] = []
    for each in ended:
        metric = each.run.blueprint.environment.metric
        try:
            reading = read_run(each.directory or Path(), metric)
        except ComposerError as error:
            notes.append(f"{each.run.name} cannot be read: {error}")
            continue
        if readings and metric != readings[0].metric:
            notes.append(f"{each.run.name} is evaluated by {metric} and is left out: others by {readings[0].metric}")
            continue
        point = each.run.point
        readings.append(replace(reading, agent=Agent(point.name, None), point=dict(point.values)))
    if not readings:
        return None
    try:
        return compare_readings(readings)
    except ComposerError as error:
        notes.append(f"the runs cannot be compared: {error}")
        return None


def _missing(study: Study, outcomes: Sequence[Outcome], ended: Sequence[Outcome]) -> str:
    here = f"{len(ended)} of {counted(len(study.runs), 'run')} of the study are in this report"
    absent = [f"{each.run.name} ({each.status})" for each in outcomes if each not in ended]
    chosen = {each.run.name for each in outcomes}
    absent += [f"{run.name} (not chosen)" for run in study.runs if run.name not in chosen]
    return f"{here}; missing: {', '.join(absent)}" if absent else here


def _lead(study: Study, comparison: Comparison | None) -> str:
    if comparison is None:
        return "No run has ended yet."
    axes = ", ".join(f"{axis} ({len(values)})" for axis, values in study.axes.items())
    table = comparison.table
    varied = f" over {axes}" if axes else ""
    return f"{counted(len(study.points), 'point')}{varied}; {table['metric']} with its {table['interval']['method']}."


def results(study: Study, comparison: Comparison) -> str:
    """The score of every seed as CSV, with the values of the axes, and costs up to the step of the comparison."""
    file = StringIO()
    rows = csv.writer(file, lineterminator="\n")
    costs = cost_columns(comparison)
    heads = [*study.axes, "task", "seed", "env_step", comparison.table["metric"], "diverged"]
    rows.writerow([*heads, "parameters", "updates", "operations"])
    points = {str(group.agent): group.runs[0].point for group in comparison.groups}
    rows.writerows(_result_rows(study, comparison.table, points, costs))
    return file.getvalue()


def _result_rows(
    study: Study, table: Mapping[str, Any], points: Mapping[str, Mapping[str, Any]], costs: Mapping[Any, Any]
) -> Iterator[list[Any]]:
    for task in table["tasks"]:
        for row in task["agents"]:
            values = [points[row["agent"]].get(axis, "") for axis in study.axes]
            own = costs[row["agent"], task["task"]]
            for seed, score in zip(row["seeds"], row["final"]["by_seed"], strict=True):
                is_diverged = seed in row["diverged"]
                yield [*values, task["task"], seed, task["env_step"], score, int(is_diverged), *map(int, own.values())]


def _write_figures(sheets: Sequence[Sheet], folder: Path) -> list[Path]:
    """Write the figures in place of those of an earlier report."""
    folder.mkdir(exist_ok=True)
    files = [folder / f"{sheet.name}.svg" for sheet in sheets]
    for old in set(folder.glob("*.svg")) - set(files):
        old.unlink()
    for sheet, file in zip(sheets, files, strict=True):
        sheet.write(file)
    return files


def _replace(path: Path, text: str) -> Path:
    """Write a file whole: a reader sees the old one or the new one."""
    staged = path.with_name(f".tmp-{path.name}")
    staged.write_text(text, encoding="utf-8")
    return staged.replace(path)
