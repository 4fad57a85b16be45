"""What actor-critic algorithms over vectors ask of a blueprint alike. Tests: tests/papers/test_deterministic.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from composer.networks.heads import head_giving
from composer.spec.wording import suggestion

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint


def actor_critic_problems(blueprint: Blueprint, name: str, products: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Environments, roles and heads that do not fit; ``products`` says by role what its head has to produce."""
    info = blueprint.environment.info
    if info.discrete or len(info.observation) != 1:
        found = "choices" if info.discrete else f"observations {list(info.observation)}"
        yield "environment", f"{name} needs vectors as observations and actions, got {found}"
    for role, produces in products.items():
        network = blueprint.networks.get(role)
        if network is None:
            yield "networks", f"{name} needs a network {role!r}"
        elif network.head.produces != produces:
            yield f"networks.{role}.head", f"{name}'s {role} needs {head_giving(produces, network.head)}"
    for role in blueprint.networks:
        if role not in products:
            yield f"networks.{role}", f"{name} has no network {role!r}{suggestion(role, products)}"
    actor = blueprint.networks.get("actor")
    if actor is not None and actor.copies != 1:
        yield "networks.actor.copies", f"{name} has one actor, got {actor.copies}"
