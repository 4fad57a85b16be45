"""Format quantities for people: shapes, counts, operations, bytes, and aligned columns.

Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from composer.spec.shape import Shape

_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z")


def shape_text(shape: Shape) -> str:
    """``[84, 84, 4]``."""
    return f"[{', '.join(map(str, shape))}]"


def counted(number: int, noun: str) -> str:
    """``1 seed``, ``2,000 seeds``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def scaled(number: int, unit: str = "") -> str:
    """Three digits and a decimal prefix: ``19.6 GFLOP``, ``66.0 k``."""
    return _three_digits(number, 1000, [prefix + unit for prefix in _PREFIXES])


def bytes_text(number: int) -> str:
    """Three digits and a binary prefix: ``217 MiB``."""
    return _three_digits(number, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])


def duration(seconds: float) -> str:
    """``90 s``, ``12 min``, ``3.5 h``, ``12 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.2g} h" if seconds < 96 * 3_600 else f"{seconds / 86_400:,.0f} days"


def _three_digits(number: int, step: int, units: Sequence[str]) -> str:
    if number < 1000:
        return f"{number} {units[0]}".rstrip()
    size, power = float(number), 0
    # Not 1,000: three digits of 999.7 would be 1e+03.
    while size >= 999.5 and power < len(units) - 1:
        size, power = size / step, power + 1
    return f"{f'{size:#.3g}'.rstrip('.')} {units[power]}"


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines of columns, two spaces apart, aligned left or, for the indices in ``right``, right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
