"""Coverage of the intervals of aggregates in simulation: a small part of tools/interval_coverage.py."""

from __future__ import annotations

import pytest

from tools.interval_coverage import coverage


@pytest.mark.parametrize(("kind", "tasks", "seeds"), [("normal", 1, 5), ("normal", 7, 3), ("skewed", 7, 5)])
def test_intervals_cover(kind: str, tasks: int, seeds: int) -> None:
    """120 studies: nothing covers less than 90 %, and what is not made of few values or a median not always."""
    found = {name: ours for name, (ours, _) in coverage(kind, tasks, seeds, 120, with_bootstrap=False).items()}
    assert min(found.values()) > 0.90, found
    exact = [found[name] for name in ("mean", "IQM", "optimality gap", "area", "difference", "P(improvement)")]
    assert sum(exact) / len(exact) < 0.985, found
