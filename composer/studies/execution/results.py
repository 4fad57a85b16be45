"""Evaluations of runs as short texts for tables. Tests: tests/studies/execution/test_display.py."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from composer.spec.interval import LEVEL, mean_interval, value_text
from composer.spec.metrics import Metric, word


def result_text(values: Sequence[float], metric: Metric) -> str:
    """``75.0 ±12.5``: the mean over seeds, and half of its interval where there are enough; empty without values."""
    if not values:
        return ""
    mean = math.fsum(values) / len(values)
    low, high = mean_interval(values, (metric.low, metric.high))
    text, half = value_text(mean, metric.unit), max(high - mean, mean - low)
    return text if math.isnan(half) else f"{text} ±{value_text(half, metric.unit, mean)}"


def heading(metrics: Iterable[str]) -> str:
    """The head of a column of such results, by the names of their metrics: ``return ±95% t``."""
    words = dict.fromkeys(map(word, metrics))
    return f"{next(iter(words)) if len(words) == 1 else 'result'} ±{LEVEL:.0%} t"
