"""``composer compare``: the comparison as text, in sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from composer.spec.quantities import columns
from composer.studies.compare.compare import number_format
from composer.studies.compare.conclusion import Pairs, conclusions, pair_table
from composer.studies.statistics import seeds_text, span


class Section(NamedTuple):
    """One task, or all of them together."""

    heading: str
    rows: list[list[str]]
    """A table, whose first row is its head."""
    sentences: Sequence[str]
    """What the data decide."""
    pairs: list[list[str]]
    """A table of the pairs, whose first row is its head; empty where there is at most one."""


def text(table: Mapping[str, Any]) -> str:
    """A table per task, the pairs with their verdicts, and notes."""
    lines = [f"{table['metric']}, with the {table['interval']['method']}"]
    for heading, rows, sentences, pairs in sections(table):
        lines += ["", heading, *columns(rows), *(["", *columns(pairs)] if pairs else []), *sentences]
    if effects := table.get("effects"):
        lines += ["", "effects measured at firings, with it minus without", *(each["text"] for each in effects)]
    if table["notes"]:
        lines += ["", *(f"note: {note}" for note in table["notes"])]
    return "\n".join([*lines, *(f"figure: {path}" for path in table.get("figures", ()))])


def sections(table: Mapping[str, Any]) -> list[Section]:
    """A section per task, one over all of them, and one of published results."""
    form, over = _form(table), table["all_tasks"]
    found = [
        _section(f"{task['task']} at environment step {task['env_step']:,}", _rows(task, form), task["pairs"], form)
        for task in table["tasks"]
    ]
    if over is not None and over["agents"]:
        heading = f"over all {len(over['tasks'])} tasks, with equal weights in the mean: {over['scores']}"
        found.append(_section(heading, _over_rows(over), over["pairs"], _over_form(over)))
    if (met := table["against"]) is not None:
        heading = f"against {met['name']} ({met['citation']}; {met['url']}). Its protocol: {met['protocol']}"
        every = [*met["rows"], *met["all_tasks"]]
        found.append(Section(heading, _published_rows(every), [f"{row['sentence']}." for row in every], []))
    return found


def _section(heading: str, rows: list[list[str]], pairs: Pairs, form: str) -> Section:
    return Section(heading, rows, conclusions(pairs, form), pair_table(pairs, form))


def _over_form(over: Mapping[str, Any]) -> str:
    return number_format([row["mean"]["value"] for row in over["agents"]])


def _over_rows(over: Mapping[str, Any]) -> list[list[str]]:
    shown = {"mean": "mean", "iqm": "IQM", "median": "median", "optimality_gap": "optimality gap", "area": "area"}
    present = [name for name in shown if name in over["agents"][0]]
    form = _over_form(over)
    rows = [["", "seeds", *(shown[name] for name in present)]]
    for row in over["agents"]:
        rows.append([row["agent"], seeds_text(row["seeds"]), *(span(row[name], form) for name in present)])
    return rows


def _published_rows(met: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    rows = [["", "tasks", "env step", "ours", "published", "difference"]]
    for row in met:
        form = number_format([row["ours"]["value"]])
        shown = [span(row["ours"], form), f"{row['published']['mean']:{form}}", span(row["difference"], form)]
        where = row["tasks"][0] if len(row["tasks"]) == 1 else f"{len(row['tasks'])} tasks"
        rows.append([f"{row['agent']} - {row['method']}", where, f"{row['env_step']:,}", *shown])
    return rows


def _form(table: Mapping[str, Any]) -> str:
    return number_format([row["final"]["mean"]["value"] for task in table["tasks"] for row in task["agents"]])


def _rows(task: Mapping[str, Any], form: str) -> list[list[str]]:
    thresholds = [reach["threshold"] for reach in task["agents"][0]["thresholds"]]
    scale = task["scale"]
    heads = ["", "seeds", "mean", "IQM", f"area from {task['area_from']:,}"]
    heads += [f"mean, {scale['title']}"] if scale and scale["name"] else []
    rows = [heads + [f"env steps to {value:g}" for value in thresholds]]
    for row in task["agents"]:
        estimates = [span(each, form) for each in (row["final"]["mean"], row["final"]["iqm"], row["area"]["mean"])]
        if scale and scale["name"]:
            estimates.append(span(row["normalized"]["mean"], ".3f"))
        rows.append([row["agent"], str(len(row["seeds"])), *estimates, *map(_reach, row["thresholds"])])
    return rows


def _reach(reach: Mapping[str, Any]) -> str:
    counts = f"{reach['reached']} of {reach['seeds']} seeds"
    return counts if reach["median_env_step"] is None else f"{reach['median_env_step']:,.0f} (median; {counts})"
