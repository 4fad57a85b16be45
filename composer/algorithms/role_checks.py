"""Whether an agent has the networks, averages and optimizers that its algorithm declares. Tests: tests/papers/."""

from __future__ import annotations

from collections.abc import Iterator

from composer.algorithms.base import AgentDeclaration
from composer.algorithms.declared import AverageRole
from composer.algorithms.needs import average_needed, network_needed, optimizer_needed
from composer.networks.heads import head_giving
from composer.optim.averages import circles
from composer.spec.wording import near, suggestion

MISSPELT = 0.85
"""Closeness of two names from which one is the other misspelt, and no name of its own."""
Problem = tuple[str, str]
"""A key path and a message."""


def agent_problems(agent: AgentDeclaration) -> Iterator[Problem]:
    """Problems of the agent with its algorithm. Roles follow from the environment, so that one comes first."""
    unfit = [*_no_simulator(agent), *agent.algorithm.environment_problems(agent.environment, agent.info)]
    yield from unfit or (*agent.algorithm.problems(agent), *_networks(agent))
    yield from _averages(agent)
    yield from _optimizers(agent)
    yield from _memories(agent)


def _no_simulator(agent: AgentDeclaration) -> Iterator[Problem]:
    if agent.algorithm.learns_from_replay and not agent.environment.is_simulator:
        title, kind = agent.algorithm.title, agent.environment.kind
        yield "environment.kind", f"{title} acts in a simulator, got {kind!r}; 'supervised' learns from labelled data"


def _networks(agent: AgentDeclaration) -> Iterator[Problem]:
    title, roles = agent.algorithm.title, agent.algorithm.roles(agent.info)
    names, dormant = [role.name for role in roles], agent.algorithm.dormant_roles()
    for role in roles:
        network = agent.networks.get(role.name)
        if network is None:
            needed = f"{title} needs a network {role.name!r}" + (f", for {role.option!r}" * bool(role.option))
            is_misspelt = near(role.name, [name for name in agent.networks if name not in names])
            yield "networks", needed if is_misspelt else f"{needed}; add {network_needed(role, agent.info).addition}"
            continue
        if role.produces is not None and network.head.produces != role.produces:
            needed = head_giving(role.produces, network.head)
            yield f"networks.{role.name}.head", f"{title}'s {role.name} needs {needed}"
        if role.has_one_copy and network.copies != 1:
            yield f"networks.{role.name}.copies", f"{title} has one {role.name}, got {network.copies}"
        if network.memory_size and not agent.algorithm.carries_memory:
            message = f"{title} learns from single transitions and carries no memory: layers with one are PPO's alone"
            yield f"networks.{role.name}.trunk", message
    for name in agent.networks:
        if name not in names:
            option = dormant.get(name)
            hint = f"; it belongs to {option!r}, which is not declared" if option else suggestion(name, names)
            yield f"networks.{name}", f"{title} has no network {name!r}{hint}"


def _memories(agent: AgentDeclaration) -> Iterator[Problem]:
    """Interventions that put other modules into networks, and penalties on features, read one observation alone."""
    roles = [role for role, network in agent.networks.items() if network.memory_size]
    for name, intervention in agent.interventions.items():
        if roles and intervention.do.changes_structure:
            message = f"{intervention.do.kind!r} changes modules, and those of {' and '.join(roles)} carry a memory"
            yield f"interventions.{name}.do", f"{message}: leave it out"
    for name, penalty in agent.penalties.items():
        if roles and penalty.of_features:
            yield f"penalties.{name}", "penalises features of single observations, and a network carries a memory"


def _averages(agent: AgentDeclaration) -> Iterator[Problem]:
    needed = [role.name for role in agent.algorithm.roles(agent.info)]
    for name, average in agent.averages.items():
        if name in agent.networks:
            yield f"averages.{name}", f"{name!r} is the name of a network"
        # A network that the algorithm needs and does not find is reported already.
        if average.of not in agent.networks and average.of not in needed and average.of not in agent.averages:
            meant = suggestion(average.of, [*agent.networks, *agent.averages])
            yield f"averages.{name}.of", f"no network named {average.of!r}{meant}"
    named_apart = {name: average for name, average in agent.averages.items() if name not in agent.networks}
    for name, chain in circles(named_apart):
        way = " of ".join(map(repr, chain))
        yield f"averages.{name}.of", f"an average cannot follow from itself: {way}"
    for role in agent.algorithm.averages_read():
        yield from _average(agent, role)


def _average(agent: AgentDeclaration, role: AverageRole) -> Iterator[Problem]:
    title, found = agent.algorithm.title, agent.averages.get(role.name)
    if found is not None:
        if found.of != role.of:
            yield f"averages.{role.name}.of", f"{title}'s {role.name!r} averages {role.of!r}, got {found.of!r}"
        return
    read = {each.name for each in agent.algorithm.averages_read()}
    cutoff = {"cutoff": MISSPELT} if role.is_optional else {}
    meant = near(role.name, [name for name in agent.averages if name not in read], **cutoff)
    if role.is_optional and meant:
        yield f"averages.{meant}", f"{title} reads no average {meant!r}; did you mean {role.name!r}?"
    elif not role.is_optional:
        hint = f"; did you mean {role.name!r}?" if meant else f"; add {average_needed(role).addition}"
        without = f", or {role.alternative}" if role.alternative and not meant else ""
        path = f"averages.{meant}" if meant else "averages"
        yield path, f"{title} needs an average {role.name!r} of {role.of!r}{hint}{without}"


def _optimizers(agent: AgentDeclaration) -> Iterator[Problem]:
    kind, roles = agent.algorithm.kind, agent.algorithm.trained_roles()
    misspelt = {role: near(role, roles) for role in agent.optimizers if role not in roles}
    for role, meant in misspelt.items():
        hint = suggestion(role, [meant] if meant else roles)
        yield f"optimizers.{role}", f"{kind} trains nothing named {role!r}{hint}"
    for role in roles:
        if role not in agent.optimizers and role not in misspelt.values():
            yield (
                f"optimizers.{role}",
                f"missing: {kind} trains {role!r}, which needs an optimizer; add {optimizer_needed(role).addition}",
            )
