"""A slow test says in its docstring what it alone proves; where it proves nothing of its own, it need not be run."""

from __future__ import annotations

import pytest


def test_every_slow_test_says_what_it_proves(request: pytest.FixtureRequest) -> None:
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    slow = {item.nodeid.partition("[")[0]: item.function for item in items if item.get_closest_marker("slow")}
    assert sorted(name for name, function in slow.items() if not function.__doc__) == []
