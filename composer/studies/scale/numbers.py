"""Numbers of any magnitude as text, for the tables of scaling laws and of discovery.

Tests: tests/studies/scale/test_scale.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def spanned(estimate: Mapping[str, Any], form: str = "") -> str:
    """``value [low, high]``; a dash where there is no value."""
    shown = [number(estimate[end], form) for end in ("value", "low", "high")]
    return shown[0] if estimate["low"] is None else f"{shown[0]} [{shown[1]}, {shown[2]}]"


def size_text(value: float) -> str:
    """A size, parameters or operations."""
    return f"{value:,.10g}" if value < 1e7 else f"{value:.3g}"


def number(value: float | None, form: str = "") -> str:
    """Three or four digits that matter, thousands by commas."""
    if value is None:
        return "-"
    if form:
        return f"{value:{form}}"
    if value and (abs(value) >= 1e7 or abs(value) < 1e-3):
        return f"{value:.3g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(digits, 4)}f}" if abs(value) < 1000 else f"{value:,.0f}"
