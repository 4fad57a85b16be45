"""Forking: a checkpoint goes on under a changed blueprint, as a run of its own. Tests: tests/study/test_fork.py."""

from composer.forking.begin import branched, fork, parting
from composer.forking.origin import Origin, read_origin
from composer.forking.refusals import NotForkable

__all__ = ["NotForkable", "Origin", "branched", "fork", "parting", "read_origin"]
