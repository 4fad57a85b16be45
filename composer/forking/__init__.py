"""Forking: a checkpoint goes on under a changed blueprint, as a run of its own. Tests: tests/study/test_fork.py."""

from composer.forking.begin import fork
from composer.forking.refusals import NotForkable

__all__ = ["NotForkable", "fork"]
