"""Parts of the lines that people read while something trains. Tests: tests/tracking/test_console.py."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

_BARS: Final = "▁▂▃▄▅▆▇█"
_SHOWN_EVALUATIONS: Final = 24
_SHOWN_SEEDS: Final = 8


def duration(seconds: float) -> str:
    """``12 s``, ``3 min 20 s``, ``42 min``, ``5 h 10 min``, ``3 d 4 h``: two units at most."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes // 60 % 24} h"


def left_text(seconds: float, now: float) -> str:
    """``3 min 20 s left (14:05)``, with the clock's time at the end; its day too where that is another one."""
    if not math.isfinite(seconds):
        return ""
    here, then = time.localtime(now), time.localtime(now + seconds)
    is_today = here[:3] == then[:3]
    at = time.strftime("%H:%M" if is_today else "%a %d %b %H:%M", then)
    return f"{duration(seconds)} left ({at})"


def fitting(parts: Sequence[str], width: int) -> str:
    """As many of the parts, from the first on, as fit into ``width``; the first in any case."""
    text = parts[0]
    for part in filter(None, parts[1:]):
        if len(text) + 2 + len(part) <= width:
            text = f"{text}  {part}"
    return text


def seeds_text(values: Mapping[int, float], shown: Callable[[float], str]) -> str:
    """``, seeds 0: 1.0, 1: 3.0, 2: 2.0``; of many their range; empty where there is no interval beside."""
    if len(values) < 3 or not all(map(math.isfinite, values.values())):
        return ""
    if len(values) > _SHOWN_SEEDS:
        return f", seeds {shown(min(values.values()))} to {shown(max(values.values()))}"
    return ", seeds " + ", ".join(f"{seed}: {shown(value)}" for seed, value in values.items())


def history_text(means: Sequence[float]) -> str:
    """The last evaluations as a row of bars; empty of one."""
    shown = [value for value in means[-_SHOWN_EVALUATIONS:] if math.isfinite(value)]
    if len(shown) < 2:
        return ""
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(_BARS[int((value - low) / span * (len(_BARS) - 1))] for value in shown)
