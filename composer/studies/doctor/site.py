"""Which network the doctor injects, and which of its last layers. Tests: tests/studies/test_doctor.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from composer.blueprint import Blueprint
from composer.networks.blocks.base import in_a_row
from composer.networks.heads import Head
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import Paths
from composer.spec.wording import listing
from composer.studies import Refused

NAME = "doctor"
"""Name of the intervention that is added."""


class Site(NamedTuple):
    """The layers that are injected."""

    role: str
    globs: tuple[str, ...]

    def override(self, blueprint: Blueprint, interaction: int) -> str:
        """The intervention as ``KEY=VALUE``: once, after interaction number ``interaction``."""
        follow = self.role in blueprint.averaged_networks.values()
        where = ", ".join(f'"{glob}"' for glob in self.globs)
        return (
            f'interventions.{NAME}={{ when = {{ kind = "at", steps = [{interaction}], clock = "interaction" }}, '
            f'where = [{where}], do = {{ kind = "inject" }}' + (', target = "follow" }' if follow else " }")
        )


def outlines_of(blueprint: Blueprint) -> dict[str, Outline]:
    """The outlines of a valid blueprint's networks, by role."""
    return {role: found for role, found in blueprint.outlines.items() if isinstance(found, Outline)}


def site(blueprint: Blueprint, globs: Sequence[str]) -> Site:
    """The layers that ``globs`` choose; without any, all layers after the encoder, as in the paper.

    The network is the critic or the model, or else the first one whose outputs can be added.
    """
    outlines = outlines_of(blueprint)
    if globs:
        roles = dict.fromkeys(role for role, _ in Paths(globs=tuple(globs)).select(outlines))
        role = next(iter(roles), "")  # Validating the intervention reports a glob that matches nothing.
    else:
        role = first_role({name: blueprint.networks[name].head for name in blueprint.outlines})
    for name, each in blueprint.interventions.items():
        if each.do.growth and role in {place[0] for place in each.where.select(outlines)}:
            raise Refused(
                f"interventions.{name} injects {role!r} already: examine a run without it, or fork this one"
                f" with another interventions.{name}.when, and compare"
            )
        if each.do.reshapes or each.do.needs_twin:
            what = f"lets {role!r} grow" if each.do.reshapes else "alternates the agent with a twin"
            if role in {place[0] for place in each.where.select(outlines)}:
                raise Refused(
                    f"interventions.{name} {what}, and such a network cannot be injected: examine another run"
                )
    if NAME in blueprint.interventions:
        raise Refused(f"interventions.{NAME}: the run has an intervention of that name, which the doctor needs")
    return Site(role, tuple(globs) or tuple(behind_encoder(role, outlines[role])))


def first_role(heads: Mapping[str, Head]) -> str:
    """The critic or the model, or else the first network whose outputs can be added. Raises Refused without any."""
    roles = [role for role, head in heads.items() if head.is_additive]
    if not roles:
        raise Refused(f"no network has outputs that can be added: there are {listing(heads)}")
    return next((role for role in ("critic", "model") if role in roles), roles[0])


def behind_encoder(role: str, outline: Outline) -> Iterator[str]:
    """Globs over the blocks of a network after its encoder, and its head.

    The encoder is every block that does not take a vector, such as convolutions, and at least the first with weights.
    """
    blocks = [(name, block) for name, block in in_a_row(outline.children["trunk"]).items() if name]
    shaped = [index for index, (_, block) in enumerate(blocks) if len(block.input) > 1]
    weighted = [index for index, (_, block) in enumerate(blocks) if _is_weighted(block)]
    split = max([*shaped[-1:], *weighted[:1]], default=len(blocks)) + 1
    for name, block in blocks[split:]:
        if any(True for _ in block.named_parameters()):
            yield f"{role}.trunk.{name}.*"
    yield f"{role}.head.*"


def _is_weighted(block: Outline) -> bool:
    return any(len(plan.shape) > 1 for _, plan in block.named_parameters())
