"""Warnings about the length of a run: what comes after its end, and what comes at every interaction."""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint.checks.meaning import Finding
from composer.blueprint.forecast.clock import clock_of, lengths_of
from composer.blueprint.forecast.timeline import counts_interactions, schedules
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.nodes import show_path
from composer.blueprint.syntax.positions import Path


def no_update(blueprint: Blueprint) -> Iterator[Finding]:
    """A run that ends before its first update."""
    lengths, clock = lengths_of(blueprint), clock_of(blueprint)
    if lengths.update:
        return
    if clock.rollout > 1:
        key, cause = "rollout_interactions", f"a rollout takes {clock.rollout:,}"
    elif lengths.interaction <= clock.warmup:
        key, cause = "warmup_interactions", f"the warm-up takes {clock.warmup:,}"
    else:
        key, cause = "update_to_data", f"{clock.update_to_data:g} updates follow each after the warm-up"
    message = f"the run ends after {lengths.interaction:,} interactions, before the first update: nothing is learned"
    yield ("algorithm", key), f"{message} ({cause})"


def never_due(blueprint: Blueprint) -> Iterator[Finding]:
    """Intervals that the file gives and the run does not reach: what they time happens once, at the end."""
    length = blueprint.training.env_steps
    late = [(path, every) for path, every in _intervals(blueprint) if every > length]
    if late:
        keys = ", ".join(f"{show_path(path)} = {every:,}" for path, every in late)
        after = f"beyond the end of the run, {length:,} environment steps: what is due then happens once, at the end"
        where = late[0][0] if len(late) == 1 else ("training", "env_steps")
        yield where, f"{keys} {'is' if len(late) == 1 else 'are'} {after}"


def due_at_every_interaction(blueprint: Blueprint) -> Iterator[Finding]:
    """Intervals of evaluations and checkpoints that are no longer than one interaction."""
    stride, length = blueprint.environment.stride, lengths_of(blueprint).interaction
    for path, every in _intervals(blueprint):
        if every <= stride and length > 1 and path[0] in ("evaluation", "checkpoint"):
            yield (
                path,
                f"due after every interaction: one interaction is {stride:,} environment steps (repeat x copies)",
            )


def unfinished_schedules(blueprint: Blueprint) -> Iterator[Finding]:
    """Schedules that go on after the last update, even if the warm-up counts as it does in SimbaV2's code."""
    lengths = lengths_of(blueprint)
    clock = clock_of(blueprint)
    reachable = clock.first + int(lengths.interaction * clock.update_to_data)
    horizon = blueprint.algorithm.horizon_schedules().one_minus_discount
    discounts = [] if horizon is None else [(("algorithm", "discount"), horizon)]
    for path, schedule in (*schedules(blueprint), *discounts) if lengths.update else ():
        if counts_interactions(blueprint, path):
            if schedule.unreached(lengths.interaction):
                yield path, schedule.unreached(lengths.interaction, "interaction")
        elif schedule.unreached(reachable):
            yield path, schedule.unreached(lengths.update)


def _intervals(blueprint: Blueprint) -> Iterator[tuple[Path, int]]:
    """Intervals in environment steps that the blueprint gives itself, with their paths."""
    tables = {
        ("training", "log_every"): blueprint.training,
        ("evaluation", "every"): blueprint.evaluation,
        ("checkpoint", "every"): blueprint.checkpoint,
        ("diagnostics", "every"): blueprint.diagnostics,
    }
    for path, table in tables.items():
        if path[-1] in table.model_fields_set:
            yield path, getattr(table, path[-1])
    for index, measure in enumerate(blueprint.diagnostics.measures):
        if measure.every is not None:
            yield ("diagnostics", "measures", index, "every"), measure.every
