"""Forking: a checkpoint goes on under a changed blueprint, as a run of its own. Tests: tests/training/test_fork.py."""

from composer.training.fork.errors import NotForkable
from composer.training.fork.origin import Origin, read_origin
from composer.training.fork.start import branched, fork, parting

__all__ = ["NotForkable", "Origin", "branched", "fork", "parting", "read_origin"]
