"""Which packages of a vector environment are installed. Tests: tests/environments/test_craftax.py."""

from __future__ import annotations

from importlib.util import find_spec


def missing_packages(*names: str) -> str:
    """Which of the packages of an environment in JAX are not installed, in words; empty where all are."""
    return " and ".join(name for name in names if find_spec(name) is None)
