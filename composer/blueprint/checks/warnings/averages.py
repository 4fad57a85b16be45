"""Warnings about averages and learned scalars that are not what they seem to be."""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint.checks.meaning import Finding
from composer.blueprint.schema import Blueprint
from composer.optim.schedules.base import Schedule

SMALLEST = 0.5
"""Least momentum that is taken as meant: smaller ones are probably the step size, 1 - momentum."""


def still_averages(blueprint: Blueprint) -> Iterator[Finding]:
    """Averages that never move, and those that nearly equal their network, as if a step size had been meant."""
    roles = blueprint.algorithm.averages_read()
    read, kept = {role.name for role in roles}, {role.name for role in roles if role.is_kept and not role.is_optional}
    for name, average in blueprint.averages.items():
        low, high = average.momentum.bounds()
        if low == 1 and name in kept:
            continue
        if low == 1:
            yield (
                ("averages", name, "momentum"),
                f"keeps all of {name!r} at every update: it stays what {average.of!r} was at the start",
            )
        elif high == 0 and name not in read:
            yield ("averages", name, "momentum"), f"keeps nothing of {name!r}: it equals {average.of!r} after an update"
        elif low == high and 0 < low < SMALLEST:
            message = f"{name!r} keeps {low:.4g} of itself at an update and takes {1 - low:.4g} of {average.of!r}"
            yield ("averages", name, "momentum"), f"{message}; did you mean {1 - low:.6g}?"


def averages_of_untrained(blueprint: Blueprint) -> Iterator[Finding]:
    """Averages of networks that no optimizer changes."""
    for name, role in blueprint.averaged_networks.items():
        outline = blueprint.sound_outlines.get(role)
        if role not in blueprint.optimizers or (outline is not None and not outline.count(trainable_only=True)):
            yield ("averages", name, "of"), f"no update changes {role!r}: its average stays equal to it"


def equal_averages(blueprint: Blueprint) -> Iterator[Finding]:
    """Two averages of one network with one momentum."""
    first: dict[tuple[str, str], str] = {}
    for name, average in blueprint.averages.items():
        other = first.setdefault((average.of, average.momentum.model_dump_json()), name)
        if other != name:
            message = f"the same numbers as {other!r}: one network, one momentum; whatever reads this can read that"
            yield ("averages", name), message


def decayed_scalars(blueprint: Blueprint) -> Iterator[Finding]:
    """Weight decay on a learned scalar, such as SAC's temperature."""
    for role in blueprint.algorithm.learned_scalars():
        optimizer = blueprint.optimizers.get(role)
        decay = getattr(optimizer.stepping, "weight_decay", 0.0) if optimizer else 0.0
        if (decay.bounds()[1] if isinstance(decay, Schedule) else decay) > 0:
            message = f"weight decay pulls the logarithm of the {role} towards 0, so the {role} itself towards 1"
            yield ("optimizers", role, "weight_decay"), message
