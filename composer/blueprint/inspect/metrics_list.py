"""``composer metrics``: every metric of a blueprint, as text and as JSON. Tests: tests/blueprint/test_metrics.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from composer.blueprint.forecast.metrics import WrittenMetric, undeclared, written_metrics
from composer.blueprint.schema import Blueprint
from composer.spec.quantities import columns

CHARTS = (
    "signals of updates are means since the last row; charts of the parent run in MLflow are means over seeds, where"
    " evaluation/NAME is Result/NAME and NAME.nonfinite counts values that are not finite"
)


def metrics_json(blueprint: Blueprint) -> dict[str, Any]:
    """``{"metrics": [...], "undeclared": [kinds of plug-ins that do not say what they write]}``."""
    rows = [each.as_dict() for each in written_metrics(blueprint)]
    return {"blueprint": blueprint.name, "metrics": rows, "undeclared": undeclared(blueprint), "note": CHARTS}


def metrics_text(blueprint: Blueprint) -> str:
    """A row per metric, in the order in which a row of the journal has them."""
    rows = [["metric", "meaning", "unit", "range", "written"]]
    for each in written_metrics(blueprint):
        metric = each.metric
        rows.append([metric.name, metric.meaning, metric.unit, range_text(metric.low, metric.high), written(each)])
    lines = columns(rows)
    lines += [f"{kind} does not declare its metrics: it may write others" for kind in undeclared(blueprint)]
    return "\n".join([*lines, CHARTS])


def written(each: WrittenMetric) -> str:
    """When a metric is written, in words."""
    return ", ".join(_written(each))


def range_text(low: float, high: float) -> str:
    """``0 to 1``, ``at least 0``, ``at most 1``; empty where nothing bounds it."""
    if math.isfinite(low) and math.isfinite(high):
        return f"{low:,g} to {high:,g}"
    return f"at least {low:,g}" if math.isfinite(low) else f"at most {high:,g}" if math.isfinite(high) else ""


def _written(each: WrittenMetric) -> Iterator[str]:
    if each.every:
        yield f"{each.key} = {each.every:,}"
    if each.metric.condition:
        yield each.metric.condition
    if each.where != "journal":
        yield f"to {each.where}"
