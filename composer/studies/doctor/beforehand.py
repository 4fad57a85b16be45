"""What the doctor knows before it trains a fork: updates until the horizon, pairs for an answer, what trains the site.

Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

import math
from typing import Final

from composer.blueprint.forecast.clock import clock_of
from composer.spec.interval import LEAST as LEAST_SEEDS
from composer.spec.interval import LEVEL
from composer.spec.quantities import counted
from composer.studies import Refused
from composer.studies.doctor.forks import Plan
from composer.studies.doctor.verdict import LEAST

_FAR: Final = 10**12
"""Environment steps after which no clock is asked."""


def branches_needed(seeds: int) -> int:
    """Branches of each seed from which a test of the pairs can decide, and their mean has an interval."""
    return max(math.ceil(LEAST / seeds), LEAST_SEEDS if seeds < LEAST_SEEDS else 1)


def updates_with_fresh_weights(plan: Plan) -> int:
    """Updates of one fork from the injection, which follows its first interaction, to its last step."""
    clock = clock_of(plan.origin.blueprint)
    begin = (plan.origin.interactions + 1) * clock.stride
    return max(clock.updates_by(plan.origin.step + plan.horizon) - clock.updates_by(begin), 0)


def announced(plan: Plan) -> str:
    """What will be trained, in one line."""
    seeds, updates = counted(len(plan.origin.blueprint.seeds), "seed"), updates_with_fresh_weights(plan)
    return f"{2 * plan.branches} forks of {seeds}, {counted(updates, 'update')} each with and without fresh weights"


def ensure_answerable(plan: Plan, role: str) -> None:
    """Raise Refused, with what to change, where the forks of a plan cannot give an answer."""
    blueprint, seeds = plan.origin.blueprint, len(plan.origin.blueprint.seeds)
    needed = branches_needed(seeds)
    if plan.branches < needed:
        has = "1 seed" if seeds == 1 else f"{seeds} seeds"
        raise Refused(
            f"{seeds * plan.branches} pairs of forks ({has}, --branches {plan.branches}) are too few for any answer:"
            f" p < {1 - LEVEL:.2f} takes {LEAST} pairs, an interval {LEAST_SEEDS} seeds or as many branches;"
            f" use --branches {needed} or more. Nothing was trained"
        )
    if role and role not in blueprint.optimizers:  # Validating the intervention reports globs that match nothing.
        raise Refused(f"no optimizer trains {role!r}: fresh weights in it learn nothing; choose others with --where")
    if updates_with_fresh_weights(plan):
        return
    clock = clock_of(blueprint)
    begin = (plan.origin.interactions + 1) * clock.stride
    first = clock.env_step_of(clock.updates_by(begin) + 1, _FAR) or _FAR
    raise Refused(
        f"no update is made with the fresh weights: the first comes at environment step {first:,}, and the forks end at"
        f" {plan.origin.step + plan.horizon:,} (fork at {plan.origin.step:,}, horizon {plan.horizon:,}); use"
        f" --horizon {first - plan.origin.step + blueprint.evaluation.every:,} or more, or --at a later checkpoint."
        " Nothing was trained"
    )
