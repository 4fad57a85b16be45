"""The text of ``show``: a summary, the networks as trees, operations, memory and timeline.

Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

from composer.algorithms.declared import Passes
from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.flops import EvaluationCost, evaluations, update_flops
from composer.blueprint.forecast.kind_text import kind_text
from composer.blueprint.forecast.memory import Forecast, forecast
from composer.blueprint.forecast.timeline import Moment, timeline
from composer.blueprint.inspect.equal_blocks import grouped
from composer.blueprint.inspect.network_facts import Change, NetworkFacts, network_facts, touched
from composer.blueprint.inspect.removed import removed_text
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import digest
from composer.networks.outline import Outline
from composer.spec.quantities import bytes_text, columns, counted, scaled, shape_text

_PASSES = {
    Passes.FORWARD: "forward",
    Passes.THROUGH: "forward, gradient of its input",
    Passes.TRAIN: "forward, gradients of input and parameters",
}
Cells = tuple[str, ...]


def show_text(blueprint: Blueprint, removed: Sequence[dict[str, Any]] = ()) -> str:
    """The text; ``removed`` says what the blueprint does not inherit (``removed_json``)."""
    costs, needs, seeds = evaluations(blueprint.agent), forecast(blueprint), len(blueprint.seeds)
    facts = network_facts(blueprint)
    lines = [f"{blueprint.name}  {digest(blueprint)[:12]}", *columns(list(_summary(blueprint)))]
    for role, outline in blueprint.sound_outlines.items():
        lines += ["", *_network(role, outline, blueprint.networks[role].copies, facts[role])]
    each = f" for each of {seeds} seeds" if seeds > 1 else ""
    lines += ["", f"an update: batch {blueprint.algorithm.batch_size:,}{each}", *_operations(costs)]
    lines += ["", f"memory: {bytes_text(needs.total)}", *_memory(needs)]
    lines += ["", "timeline", *_timeline(timeline(blueprint))]
    lines += ["", "not inherited, since it is removed", *removed_text(removed)] if removed else []
    return "\n".join(lines)


def _summary(blueprint: Blueprint) -> Iterator[Cells]:
    info, algorithm = blueprint.environment.info, blueprint.algorithm
    lengths, flops = lengths_of(blueprint), update_flops(blueprint)
    total = sum(outline.count() * blueprint.networks[role].copies for role, outline in blueprint.sound_outlines.items())
    yield "environment", f"{kind_text(blueprint.environment)}: {shape_text(info.observation)} → [{info.action_size}]"
    yield "episode", f"{counted(info.episode_interactions, 'interaction')} at most"
    yield "algorithm", f"{algorithm.kind}, {counted(len(blueprint.seeds), 'seed')}, batch {algorithm.batch_size:,}"
    if blueprint.environment.is_simulator:
        yield "discount", f"{algorithm.update_schedule(info).discount:.6g}"
    steps, interactions = counted(lengths.env, "environment step"), counted(lengths.interaction, "interaction")
    yield "length", f"{steps}, {interactions}, {counted(lengths.update, 'update')}"
    yield "parameters", f"{total:,} per seed, without averages"
    yield "operations", f"{scaled(flops, 'FLOP')} per update, {scaled(flops * lengths.update, 'FLOP')} in all updates"
    own = [f"{name} {shape_text(each.shape)} {each.dtype}" for name, each in algorithm.state_tensors(info).items()]
    if own:
        yield "tensors", f"of the algorithm, per seed: {', '.join(own)}"
    yield "memory", bytes_text(forecast(blueprint).total)


def _network(role: str, outline: Outline, copies: int, facts: NetworkFacts) -> list[str]:
    total = counted(outline.count() * copies, "parameter") + (f" in {copies} copies" if copies > 1 else "")
    title = f"{role}: {total}, {scaled(outline.total_flops() * copies, 'FLOP')} per sample forward"
    of_one = "of one copy" if copies > 1 else ""
    partial = [change for change in facts.changes if not change.is_of_all]
    tree = columns([("", "→", "parameters", "FLOP", of_one), *_tree(outline, "  ", "", partial)], right=(2, 3))
    return [title, *columns(list(_around(facts))), *tree]


def _around(facts: NetworkFacts) -> Iterator[Cells]:
    """What a network reads, and what moves it beside gradients."""
    read = (f"{each.name} {shape_text(each.shape)}".strip() for each in facts.inputs)
    normalized = (f" through {each.normalizer}" if each.normalizer else "" for each in facts.inputs)
    yield "  input", ", ".join(map("".join, zip(read, normalized, strict=True)))
    if facts.optimizer:
        yield "  optimizer", facts.optimizer
    for average in facts.averages:
        yield "  average", average
    for change in facts.changes:
        yield "  changed by", change.text


def size_text(outline: Outline) -> str:
    """``1,548 parameters, 3.11 kFLOP per sample forward``."""
    return f"{counted(outline.count(), 'parameter')}, {scaled(outline.total_flops(), 'FLOP')} per sample forward"


def _tree(outline: Outline, indent: str, path: str, changes: Sequence[Change]) -> Iterator[Cells]:
    wires = outline.wires

    def beside(name: str) -> Hashable:
        return touched(changes, f"{path}{name}."), wires[name].text if wires else ""

    for group in grouped(outline.children, beside):
        child, times, below = group.outline, len(group.names), f"{path}{group.names[0]}."
        each = f"{times} × " if times > 1 else ""
        count = f"{each}{child.count():,}" if child.count() else ""
        flops = f"{each}{scaled(child.total_flops())}" if child.total_flops() else ""
        yield (
            f"{indent}{group.label}: {child.kind}",
            shape_text(child.output),
            count,
            flops,
            "; ".join([*filter(None, [wires[group.names[0]].text if wires else ""]), *_notes(child, below, changes)]),
        )
        yield from _tree(child, indent + "  ", below, changes)


def _notes(outline: Outline, path: str, changes: Sequence[Change]) -> Iterator[str]:
    """The changes of a block's own parameters, those that are frozen or of unit norm, and its buffers."""
    for change in changes:
        if any(path + name in change.paths for name in outline.parameters):
            yield f"changed by {change.name}"
    frozen = [name for name, plan in outline.parameters.items() if not plan.trainable]
    spheres = [name for name, plan in outline.parameters.items() if plan.unit_axis is not None]
    if frozen:
        yield f"{', '.join(frozen)} frozen"
    if spheres:
        yield f"{', '.join(spheres)} of unit norm"
    shared = [name for name, plan in outline.parameters.items() if plan.shares_norm]
    if shared:
        yield f"{' and '.join(shared)} kept at {'their joint' if len(shared) > 1 else 'its'} norm"
    for name, plan in outline.buffers.items():
        size = f" {shape_text(plan.shape)}" if plan.shape else ""
        yield "a random stream of its own" if plan.kind == "key" else f"{plan.kind} {name}{size}"


def _operations(costs: Sequence[EvaluationCost]) -> list[str]:
    rows = []
    for cost, times in Counter(costs).items():  # What is evaluated several times, as by a model of several steps.
        how = _PASSES[cost.passes] + (", joint batch" if cost.batches > 1 else "")
        how += f", {times} times" if times > 1 else ""
        rows.append((f"  {cost.network}", how, scaled(times * cost.flops, "FLOP")))
    total = sum(cost.flops for cost in costs)
    return columns([*rows, ("  total", "", scaled(total, "FLOP"))], right=(2,))


def _memory(needs: Forecast) -> list[str]:
    names = ["parameters", "buffers", "gradients", "optimizer", "averages", "injections", "anchors", "total"]
    parts = []
    for held in needs.networks.values():
        own = (held.parameters, held.buffers, held.gradients, held.optimizer, sum(held.averages.values()))
        parts.append((*own, held.injections, held.anchors, held.total))
    # Injections and anchors are rare: their columns are shown only where a network has some.
    shown = [index for index, name in enumerate(names) if index not in (5, 6) or any(row[index] for row in parts)]
    rows: list[Cells] = [("", *(names[index] for index in shown))]
    for role, row in zip(needs.networks, parts, strict=True):
        rows.append((f"  {role}", *(bytes_text(row[index]) if row[index] else "-" for index in shown)))
    rows.append(("  replay", *([""] * (len(shown) - 1)), bytes_text(needs.replay)))
    if needs.data_transitions:
        rows.append(("  data", *([""] * (len(shown) - 1)), bytes_text(needs.data)))
    if needs.algorithm:
        rows.append(("  algorithm", *([""] * (len(shown) - 1)), bytes_text(needs.algorithm)))
    if needs.disk:
        rows.append(("  replay, on disk", *([""] * (len(shown) - 1)), bytes_text(needs.disk)))
    return columns(rows, right=range(1, len(shown) + 1))


def _timeline(moments: Iterable[Moment]) -> list[str]:
    rows: list[Cells] = [("  env step", "update", "", "")]
    for moment in moments:
        step = "after end" if moment.env_step is None else f"{moment.env_step:,}"
        again = "".join(
            f", every {every:,} {unit}" if every > 1 else f", each {unit.removesuffix('s')}"
            for every, unit in moment.intervals()
        )
        times = f", {counted(moment.count or 0, 'time')}" if again else ""
        rows.append((f"  {step}", f"{moment.update:,}", f"{moment.event}{again}{times}", moment.key))
    return columns(rows, right=(0, 1))
