"""Warnings about how a run is computed. Tests: tests/blueprint/test_warnings.py."""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint.checks.meaning import Finding
from composer.blueprint.schema import Blueprint


def reproducible_without_choice(blueprint: Blueprint) -> Iterator[Finding]:
    """``reproducible = false`` where nothing is left to choose."""
    compute = blueprint.compute
    if not compute.reproducible and compute.compile != "auto":
        yield "compute.reproducible", f"false changes what compile = 'auto' does; here compile is {compute.compile!r}"
