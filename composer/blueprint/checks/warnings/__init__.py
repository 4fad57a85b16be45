"""Warnings: what a valid blueprint says and its run will not do, or not as it seems.

A rule is a function from a blueprint to findings. What no run could mean is an error, in ``checks.meaning``. What
depends on the length of a run is a warning: runs are often shortened to try something out.
Tests: tests/blueprint/test_warnings.py.
"""

from __future__ import annotations

from composer.blueprint.checks.meaning import Finding
from composer.blueprint.checks.warnings import averages, computing, data, interventions, length
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.nodes import read_path
from composer.blueprint.syntax.positions import Path
from composer.environments.interface import as_far_as_known

RULES = (
    length.no_update,
    length.never_due,
    length.due_at_every_interaction,
    length.unfinished_schedules,
    data.first_batch,
    data.forgotten_warmup,
    data.longer_than_an_episode,
    data.patient_stopping,
    data.phases_after_the_end,
    computing.reproducible_without_choice,
    averages.still_averages,
    averages.averages_of_untrained,
    averages.equal_averages,
    averages.decayed_scalars,
    interventions.before_the_first_update,
    interventions.too_often,
    interventions.same_moment,
    interventions.unfinished_restarts,
    interventions.untrained_parameters,
    interventions.mixed_on_the_sphere,
)


def warnings_of(blueprint: Blueprint) -> list[Finding]:
    """The warnings of a checked blueprint, each with its path; of equal ones at one path, the first."""
    found: dict[tuple[Path, str], Finding] = {}
    for rule in RULES:
        for path, message in as_far_as_known(rule(blueprint)):
            steps = path if isinstance(path, tuple) else read_path(path) or ()
            found.setdefault((steps, message), (steps, message))
    return list(found.values())
