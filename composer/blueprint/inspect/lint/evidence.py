"""Advice on what a run can show."""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint.inspect.lint.base import Finding, Subject, rule


@rule("one-seed", "info", "Agarwal et al., arXiv:2108.13264")
def one_seed(subject: Subject) -> Iterator[Finding]:
    """A single training seed."""
    if len(subject.blueprint.seeds) == 1:
        yield ("seeds",), "one seed shows nothing about a method: several train in one program, as in --seeds 0,1,2,3,4"


@rule("one-episode", "info", "argued")
def one_episode(subject: Subject) -> Iterator[Finding]:
    """Evaluations of a single episode."""
    if subject.blueprint.evaluation.episodes == 1:
        yield (
            ("evaluation", "episodes"),
            "the return of one episode mixes the policy's worth with the luck of one start",
        )
