"""The table of ``show --json``: networks, operations, memory and timeline of a blueprint.

Keys name the units of their values; a key without a unit is a count.
Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from composer.algorithms.base import Algorithm
from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.flops import EvaluationCost, evaluations
from composer.blueprint.forecast.growth import grown_outlines
from composer.blueprint.forecast.memory import Forecast, NetworkBytes, forecast
from composer.blueprint.forecast.timeline import half_life, timeline
from composer.blueprint.inspect.network_facts import NetworkFacts, network_facts
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import digest
from composer.environments.base import Environment
from composer.networks.outline import BufferPlan, Outline, ParameterPlan
from composer.optim.averages import Average


def show_json(blueprint: Blueprint, removed: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The table. ``networks.<role>`` counts all copies of one seed, its ``outline`` one copy; the rest all seeds.

    ``grown`` is a network that grows, at the end of the run. ``hash`` is the digest; ``removed`` says what is not
    inherited (``removed_json``).
    """
    outlines, needs, lengths = blueprint.sound_outlines, forecast(blueprint), lengths_of(blueprint)
    facts, grown = network_facts(blueprint), grown_outlines(blueprint)
    networks = {
        role: _network(outline, blueprint.networks[role].copies)
        | _around(facts[role])
        | ({"grown": size_table(grown[role], blueprint.networks[role].copies)} if role in grown else {})
        for role, outline in outlines.items()
    }
    sizes = {name: networks[role]["parameters"] for name, role in blueprint.averaged_networks.items()}
    return {
        "name": blueprint.name,
        "hash": digest(blueprint),
        "seeds": list(blueprint.seeds),
        "environment": _environment(blueprint.environment, blueprint.algorithm),
        "algorithm": {"kind": blueprint.algorithm.kind, "batch_size": blueprint.algorithm.batch_size},
        "length": {"env_steps": lengths.env, "interactions": lengths.interaction, "updates": lengths.update},
        "networks": networks,
        "averages": {name: _average(average, sizes[name]) for name, average in blueprint.averages.items()},
        "learned_scalars": {role: outline.count() for role, outline in blueprint.algorithm.learned_scalars().items()},
        "algorithm_tensors": {
            name: {"shape": list(each.shape), "dtype": each.dtype}
            for name, each in blueprint.algorithm.state_tensors(blueprint.environment.info).items()
        },
        "update": _update(evaluations(blueprint.agent), lengths.update),
        "memory_bytes": needs.total,
        "memory": _memory(needs),
        "disk_bytes": needs.disk,
        "timeline": [asdict(moment) for moment in timeline(blueprint)],
        "removed": list(removed),
    }


def _memory(needs: Forecast) -> dict[str, Any]:
    return {
        "networks": {role: _held(held) for role, held in needs.networks.items()},
        "replay_bytes": needs.replay,
        **({"data_bytes": needs.data} if needs.data_transitions else {}),
        "algorithm_bytes": needs.algorithm,
    }


def _environment(environment: Environment, algorithm: Algorithm) -> dict[str, Any]:
    info = environment.info
    return {
        "kind": environment.kind,
        "observation_shape": list(info.observation),
        "action_size": info.action_size,
        "episode_env_steps": info.episode_env_steps,
        "episode_interactions": info.episode_interactions,
        "terminates": info.terminates,
        "discount": algorithm.update_schedule(info).discount,
    }


def _network(outline: Outline, copies: int) -> dict[str, Any]:
    trainable = outline.count(trainable_only=True)
    return {
        **size_table(outline, copies),
        "trainable": trainable * copies,
        "frozen": (outline.count() - trainable) * copies,
        "buffers": sum(plan.count for _, plan in outline.named_buffers()) * copies,
        "copies": copies,
        "outline": _block(outline),
    }


def _around(facts: NetworkFacts) -> dict[str, Any]:
    """What a network reads, what trains it, and which of its parameters interventions and penalties choose."""
    return {
        "inputs": [{**each._asdict(), "shape": list(each.shape)} for each in facts.inputs],
        "optimizer": facts.optimizer,
        "changes": [{**each._asdict(), "paths": sorted(each.paths)} for each in facts.changes],
    }


def size_table(outline: Outline, copies: int = 1) -> dict[str, Any]:
    """Parameters, operations and shapes of a network or a block."""
    return {
        "parameters": outline.count() * copies,
        "forward_flops_per_sample": outline.total_flops() * copies,
        "input_shape": list(outline.input),
        "output_shape": list(outline.output),
    }


def _block(outline: Outline) -> dict[str, Any]:
    return {
        "kind": outline.kind,
        "input_shape": list(outline.input),
        "output_shape": list(outline.output),
        "parameter_count": outline.count(),
        "forward_flops_per_sample": outline.total_flops(),
        "parameters": {name: _parameter(plan) for name, plan in outline.parameters.items()},
        "buffers": {name: _buffer(plan) for name, plan in outline.buffers.items()},
        "children": {name: _block(child) for name, child in outline.children.items()},
        **({"wires": {name: wire._asdict() for name, wire in outline.wires.items()}} if outline.wires else {}),
    }


def _parameter(plan: ParameterPlan) -> dict[str, Any]:
    shared = {"shares_norm": list(plan.shares_norm)} if plan.shares_norm else {}
    return {"shape": list(plan.shape), "trainable": plan.trainable, "unit_norm_axis": plan.unit_axis, **shared}


def _buffer(plan: BufferPlan) -> dict[str, Any]:
    return {"shape": list(plan.shape), "kind": plan.kind}


def _average(average: Average, parameters: int) -> dict[str, Any]:
    # An infinite half-life, of an average that never moves, is null: JSON has no infinity.
    low, high = (half_life(value) if value < 1 else None for value in average.momentum.bounds())
    return {
        "of": average.of,
        "parameters": parameters,
        "half_life_updates_min": low,
        "half_life_updates_max": high,
    }


def _update(costs: Sequence[EvaluationCost], updates: int) -> dict[str, Any]:
    flops = sum(cost.flops for cost in costs)
    return {
        "flops": flops,
        "flops_of_all_updates": flops * updates,
        "evaluations": [
            {
                "network": cost.network,
                "passes": cost.passes.name.lower(),
                "batches": cost.batches,
                "flops": cost.flops,
            }
            for cost in costs
        ],
    }


def _held(held: NetworkBytes) -> dict[str, Any]:
    return {
        "total_bytes": held.total,
        "parameters_bytes": held.parameters,
        "buffers_bytes": held.buffers,
        "gradients_bytes": held.gradients,
        "optimizer_bytes": held.optimizer,
        "averages_bytes": dict(held.averages),
        "injections_bytes": held.injections,
        "anchors_bytes": held.anchors,
    }
