"""Versions of the software that each run of a study would be trained with now.

Tests: tests/studies/execution/test_engine.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from composer.studies.study.points import StudyRun
from composer.training.runs.provenance import libraries

Versions = Mapping[str, str | None]


def versions_of(runs: Iterable[StudyRun], *, is_to_run: bool) -> dict[str, Versions]:
    """The versions by key of the run; those of one environment are looked up once.

    Without ``is_to_run``, only those that are known without executing code of others.
    """
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], Versions] = {}
    found: dict[str, Versions] = {}
    for run in runs:
        environment, plugins = run.blueprint.environment, tuple(run.blueprint.requires)
        own = environment.libraries() if is_to_run else environment.known_libraries()
        used = (tuple(own), plugins)
        if used not in known:
            known[used] = libraries(environment, plugins, is_to_run=is_to_run)
        found[run.key] = known[used]
    return found
