"""Where the doctor injects: which network, and which of its last layers. Tests: tests/study/test_doctor.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from composer.blueprint import Blueprint
from composer.interventions.inject import OUTPUTS_TO_ADD, Inject, tail_paths
from composer.interventions.selectors import Paths
from composer.shapes import Outline
from composer.spec import listing
from composer.study.refusal import Refused

NAME = "doctor"
"""Of the intervention that is added."""
DENSE = 2
"""Layers with a weight that are injected at least: the paper's head is a hidden layer and the output."""


class NotInjectable(Refused):
    """The run has no network to inject, or it is injected already; the message says which and what to do."""


class Site(NamedTuple):
    """What is injected."""

    role: str
    globs: tuple[str, ...]

    def override(self, blueprint: Blueprint, interaction: int) -> str:
        """The intervention, as ``KEY=VALUE``: once, after decision number ``interaction``."""
        follow = any(average.of == self.role for average in blueprint.averages.values())
        where = ", ".join(f'"{glob}"' for glob in self.globs)
        return (
            f'interventions.{NAME}={{ when = {{ kind = "at", steps = [{interaction}], clock = "interaction" }}, '
            f'where = [{where}], do = {{ kind = "inject" }}' + (', target = "follow" }' if follow else " }")
        )


def site(blueprint: Blueprint, globs: Sequence[str]) -> Site:
    """The layers that ``globs`` choose; without any, the shortest tail with two layers of weights.

    That tail is of the critic or the model, or else of the first network whose outputs can be added.
    """
    outlines = {role: found for role, found in blueprint.outlines.items() if isinstance(found, Outline)}
    if globs:
        roles = dict.fromkeys(role for role, _ in Paths(globs=tuple(globs)).select(outlines))
        role = next(iter(roles), "")  # What matches nothing is told when the intervention is validated.
    else:
        role = _role(blueprint)
    for name, each in blueprint.interventions.items():
        if isinstance(each.do, Inject) and role in {place[0] for place in each.where.select(outlines)}:
            raise NotInjectable(
                f"interventions.{name} injects {role!r} already: examine a run without it, or fork this one"
                f" with interventions.{name}.when set anew, and compare"
            )
    if NAME in blueprint.interventions:
        raise NotInjectable(f"interventions.{NAME}: the run has an intervention of that name, which this command needs")
    return Site(role, tuple(globs) or tuple(_tail(role, outlines[role])))


def _role(blueprint: Blueprint) -> str:
    roles = [role for role in blueprint.outlines if blueprint.networks[role].head.produces not in OUTPUTS_TO_ADD]
    if not roles:
        raise NotInjectable(f"no network has outputs that can be added: there are {listing(blueprint.outlines)}")
    return next((role for role in ("critic", "model") if role in roles), roles[0])


def _tail(role: str, outline: Outline) -> Iterator[str]:
    """Globs over everything behind the encoder, which ends before the first block that takes a vector.

    So convolutions are the encoder, as in the paper; of dense layers alone the first is.
    """
    trunk, paths = outline.children["trunk"], [path for path, _ in outline.named_parameters()]
    blocks = dict(trunk.children) if trunk.kind in ("sequence", "repeat") else {}
    learned = [name for name in blocks if any(path.startswith(f"trunk.{name}.") for path in paths)]
    matrices = [name for name in learned if any(len(plan.shape) > 1 for _, plan in blocks[name].named_parameters())]
    vectors = False
    for name in learned:
        # Once features are vectors they stay so up to the head; a block without weights of its own is no encoder.
        vectors = vectors or (len(blocks[name].input) == 1 and any(name != other for other in _before(learned, matrices, name)))
        if vectors:
            yield f"{role}.trunk.{name}.*"
    yield f"{role}.head.*"
