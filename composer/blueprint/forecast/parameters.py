"""The number of trained parameters. Tests: tests/studies/test_catalogue.py."""

from __future__ import annotations

from composer.blueprint.schema import Blueprint


def trainable_parameters(blueprint: Blueprint) -> int:
    """Trained scalars of one seed: all copies of its networks, and what the algorithm learns beside them."""
    networks = blueprint.networks
    return sum(
        outline.count(trainable_only=True) * (networks[role].copies if role in networks else 1)
        for role, outline in blueprint.trained_outlines.items()
    )
