"""What a run says of itself in Markdown: its purpose, its size, what differs from its base, how to repeat it.

Tests: tests/training/test_start_upload.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint.inspect.as_written import base_of, changes, side
from composer.blueprint.schema import Blueprint
from composer.spec.quantities import counted


def note(blueprint: Blueprint, agent: str, run_id: str) -> str:
    """The description of a run: paragraphs of Markdown."""
    return "\n\n".join(_paragraphs(blueprint, agent, run_id))


def _paragraphs(blueprint: Blueprint, agent: str, run_id: str) -> Iterator[str]:
    if blueprint.description:
        yield blueprint.description
    sizes = ", ".join(
        f"{role} {outline.count() * blueprint.networks[role].copies:,}"
        for role, outline in blueprint.sound_outlines.items()
    )
    yield (
        f"**{agent}** on {blueprint.environment.title}: {blueprint.training.env_steps:,} environment steps,"
        f" {counted(len(blueprint.seeds), 'seed')}. Parameters: {sizes}."
    )
    if blueprint.interventions:
        yield f"Interventions: {', '.join(blueprint.interventions)}."
    base = base_of(blueprint)
    if base is not None:
        name, written = base
        lines = [f"- `{one}`" for one in changes(written, side(blueprint)) if one.key != "seeds"]
        yield "\n".join([f"Differs from {name}:", "", *lines]) if lines else f"As {name}."
    yield f"Run directory: `{run_id}`; its resolved blueprint, `blueprint.toml`, is among the artifacts."
