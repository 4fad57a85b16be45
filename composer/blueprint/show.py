"""What a blueprint amounts to, for people and for tools: networks with shapes and parameters, memory, hash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from composer.blueprint.memory import forecast, outlines
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import digest
from composer.shapes import Outline, Shape


def show_json(blueprint: Blueprint) -> dict[str, Any]:
    """For ``show --json``.

    ``networks.<role>.parameters`` and ``.trainable`` count all copies of one seed; ``memory_bytes`` all seeds;
    ``hash`` is the digest.
    """
    found = _sound_outlines(blueprint)
    needs = forecast(blueprint)
    return {
        "name": blueprint.name,
        "hash": digest(blueprint),
        "seeds": list(blueprint.seeds),
        "memory_bytes": needs.total,
        "memory": {"networks": dict(needs.networks), "replay": needs.replay},
        "networks": {role: _network(outline, blueprint.networks[role].copies) for role, outline in found.items()},
    }


def show_text(blueprint: Blueprint) -> str:
    """For ``show``: the same as a tree, with the shape that each block gives."""
    info, needs = blueprint.environment.describe(), forecast(blueprint)
    lines = [
        f"{blueprint.name}  {digest(blueprint)[:12]}",
        f"environment {blueprint.environment.kind}, {_shape(info.observation)} → [{info.action_size}]",
        f"algorithm   {blueprint.algorithm.kind}, {_counted(len(blueprint.seeds), 'seed')}",
        f"memory      {_bytes(needs.total)} ({_bytes(needs.replay)} replay)",
    ]
    for role, outline in _sound_outlines(blueprint).items():
        copies = blueprint.networks[role].copies
        total = f"{outline.count() * copies:,} parameters" + (f" in {copies} copies" if copies > 1 else "")
        averages = [name for name, average in blueprint.averages.items() if average.of == role]
        followed = f", averaged as {', '.join(averages)}" if averages else ""
        lines += ["", f"{role}: {total}{followed}, input {_shape(outline.input)}"]
        lines += _tree(outline, "  ")
    return "\n".join(lines)


def _sound_outlines(blueprint: Blueprint) -> dict[str, Outline]:
    return {role: found for role, found in outlines(blueprint).items() if isinstance(found, Outline)}


def _network(outline: Outline, copies: int) -> dict[str, Any]:
    return {
        "parameters": outline.count() * copies,
        "trainable": outline.count(trainable_only=True) * copies,
        "copies": copies,
        "input": list(outline.input),
        "output": list(outline.output),
        "flops": outline.total_flops() * copies,
        "outline": _blocks(outline),
    }


def _blocks(outline: Outline) -> dict[str, Any]:
    return {
        "kind": outline.kind,
        "input": list(outline.input),
        "output": list(outline.output),
        "parameters": {name: list(plan.shape) for name, plan in outline.parameters.items()},
        "children": {name: _blocks(child) for name, child in outline.children.items()},
    }


def _tree(outline: Outline, indent: str) -> Iterator[str]:
    for name, child in outline.children.items():
        count = f"  {child.count():,}" if child.count() else ""
        yield f"{indent}{name}: {child.kind} → {_shape(child.output)}{count}"
        yield from _tree(child, indent + "  ")


def _shape(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _bytes(number: int) -> str:
    """In units of 1024, with three digits."""
    size = float(number)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} PiB"
