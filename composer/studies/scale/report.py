"""What ``composer scale`` answers: it trains, fits, writes figure and table, and says what the law predicts.

Tests: tests/studies/scale/test_scale.py.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from composer.spec.quantities import columns
from composer.studies import Refused
from composer.studies.plots import check
from composer.studies.scale.numbers import number, size_text, spanned
from composer.studies.scale.picture import draw
from composer.studies.scale.scale import Question, ensure_answerable, scaling, table, train
from composer.studies.scale.sizes import planned
from composer.studies.statistics import p_text

Say = Callable[[str], None]


class Files(NamedTuple):
    """What is written beside the answer."""

    plot: Path | None = None
    csv: Path | None = None


def held_out_size(text: str | None) -> float | None:
    """``largest``, or a size; raises Refused."""
    if text is None or text == "largest":
        return None if text is None else math.inf
    try:
        return float(text.replace("_", ""))
    except ValueError:
        raise Refused(f"--hold-out takes a size or 'largest', got {text!r}") from None


def answer(
    arguments: Sequence[str],
    over: Sequence[str],
    question: Question,
    runs: Path,
    out: Path | None,
    jobs: int,
    files: Files,
    say: Say,
) -> dict[str, Any]:
    """Train the sizes that are not finished and return the table. Raises BlueprintError and Refused."""
    if files.plot is not None:
        check(files.plot)
    plan = planned(arguments, over)
    if not question.target.metric:
        metric = plan.runs[0].blueprint.environment.metric
        question = replace(question, target=replace(question.target, metric=metric))
    ensure_answerable(plan, question)
    outcomes, notes = train(plan, out or runs.parent / "studies" / plan.name, runs, say, jobs)
    found = [scaling(ladder, outcomes, question) for ladder in plan.ladders]
    made = table(plan, found, question, notes)
    if files.plot is not None:
        draw(found, made, files.plot)
    if files.csv is not None:
        write_csv(made, files.csv)
    return made


def write_csv(made: Mapping[str, Any], path: Path) -> None:
    """One line per seed."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("series", "size", "x", "seed", "value", "bound", "held_out"))
        for series in made["series"]:
            for each in series["sizes"]:
                for seed, value, side in zip(each["seeds"], each["values"], each["side"], strict=True):
                    bound = {0: "", 1: "at least", -1: "at most"}[side]
                    rows.writerow((series["name"], each["size"], each["x"], seed, value, bound, each["held_out"]))


def text(made: Mapping[str, Any]) -> str:
    """A table per agent, its law in words, what it predicts, and how exponents differ."""
    lines = [f"{made['target']} against {made['over']}", ""]
    for series in made["series"]:
        lines += [series["name"], *_sizes(series, made), *_law(series, made), ""]
    for each in made["differences"]:
        lines.append(_difference(each))
    lines += [f"note: {note}" for note in made["notes"]]
    lines.append(f"intervals: {made['interval']['method']}, by size; criterion: {made['criterion']}")
    return "\n".join(lines)


def _sizes(series: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    heads = [made["size"], *([made["over"]] if made["over"] != made["size"] else []), "seeds", _middle(series), ""]
    rows = [heads]
    for each in series["sizes"]:
        never = f"{each['never_reached']} never reached it" if each["never_reached"] else ""
        held = "held out" if each["held_out"] else ""
        x = [size_text(each["x"])] if made["over"] != made["size"] else []
        is_median = each["never_reached"] or each["reached_before"]
        median = each["measured"]["value"]
        bound = "median not reached" if median is None else f"median {number(median)}"
        shown = bound if is_median else spanned(each["measured"])
        rows.append(
            [size_text(each["size"]), *x, str(len(each["seeds"])), shown, ", ".join(filter(None, (never, held)))]
        )
    return [f"  {line}" for line in columns(rows)]


def _middle(series: Mapping[str, Any]) -> str:
    return "geometric mean" if series["law"]["scale"] == "log" else "mean"


def formula(law: Mapping[str, Any]) -> str:
    """``y = 1,234 x^-0.81``, perhaps with an offset."""
    offset = f"{number(law['c'])} + " if law["form"] == "offset" else ""
    return f"y = {offset}{law['a']:.4g} x^{law['b']['value']:.3f}".replace("+ -", "- ")


def _law(series: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    law = series["law"]
    fits = "" if law["misfit_p"] is None else f"; F test of the law against free sizes: p {p_text(law['misfit_p'])}"
    lines = [f"  {formula(law)}, exponent {spanned(law['b'], '.3f')}{fits}"]
    others = [each for each in series["laws"] if each["form"] != law["form"]]
    lines += [f"  the other law, {formula(each)}, has AICc {_excess(each, law)}" for each in others]
    lines += [f"  {held_out(each, series, made)}" for each in series["held_out"]]
    lines += [f"  {_predicted(each, made)}" for each in series["predictions"]]
    return lines


def _excess(other: Mapping[str, Any], law: Mapping[str, Any]) -> str:
    if other["aicc"] is None or law["aicc"] is None:
        return "undefined: too few seeds"
    return f"{other['aicc'] - law['aicc']:+.1f} against it"


def held_out(each: Mapping[str, Any], series: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """The prediction, its interval, the measured value, and whether they agree."""
    said = f"held out, {made['over']} {size_text(each['x'])}: predicted {spanned(each['of_new_seeds'])} for "
    measured = "nothing: most seeds are bounds" if each["measured"]["value"] is None else spanned(each["measured"])
    said += f"the {_middle(series)} of {each['seeds']} seeds; measured {measured}"
    if each["relative_error"] is not None:
        said += f", {abs(each['relative_error']):.1%} {'above' if each['relative_error'] > 0 else 'below'}"
    if each["inside"] is not None:
        said += f", {'inside' if each['inside'] else 'outside'} the interval"
    return said + _beyond(each) + _other(each)


def _predicted(each: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    return f"predicted at {made['over']} {size_text(each['x'])}: {spanned(each['law'])}{_beyond(each)}{_other(each)}"


def _beyond(each: Mapping[str, Any]) -> str:
    return f" (an extrapolation: {each['beyond']:.3g} times beyond the sizes fitted)" if each["beyond"] > 1 else ""


def _other(each: Mapping[str, Any]) -> str:
    other = each["other_law"]
    return f"; the other law says {spanned(other)}" if other and other["value"] is not None else ""


def _difference(each: Mapping[str, Any]) -> str:
    form = {"power": "y = a x^b", "offset": "y = c + a x^b"}[each["form"]]
    said = f"exponent of {each['of']} minus that of {each['minus']}, both of {form}: {spanned(each, '+.3f')}"
    if each["low"] is None:
        return said
    differ = each["low"] > 0 or each["high"] < 0
    return f"{said}: {'the exponents differ' if differ else 'no difference is shown'}"
