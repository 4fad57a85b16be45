"""What several algorithms ask of an environment alike. Tests: tests/papers/test_deterministic.py."""

from __future__ import annotations

from collections.abc import Iterator

from composer.environments.interface import EnvironmentInfo


def vectors_needed(title: str, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
    """The problem of an algorithm over vectors with choices or pictures."""
    if info.discrete or len(info.observation) != 1:
        found = "choices" if info.discrete else f"observations {list(info.observation)}"
        yield "environment", f"{title} needs vectors as observations and actions, got {found}"
