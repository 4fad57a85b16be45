"""The runs of MLflow that show one run directory: a parent, and a child per seed.

Tests: tests/tracking/test_delivery.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from composer.tracking.page.links import escaped, run_link
from composer.tracking.points import PARENT
from composer.tracking.records import StoredRun, Tracking

if TYPE_CHECKING:
    from composer.tracking.store import Store

AGENT: Final = "agent"
NOTE: Final = "mlflow.note.content"
"""MLflow's tag of a run's description."""
LONGEST_NOTE: Final = 5000
SETTINGS: Final = "composer.agent"
"""The tag with the digest of an agent's settings."""


def find_or_create(
    store: Store, tracking: Tracking, facts: Mapping[str, Any], uri: str, start_time: int
) -> tuple[StoredRun, bool]:
    """The parent and its children, found or created, and whether any of them existed before.

    ``facts`` are those of ``run.json``; ``start_time`` is in milliseconds since the epoch.
    """
    experiment = store.experiment(tracking.experiment)
    run = {"composer.run_id": str(facts["run_id"])}
    roles = {role: run | {"composer.role": role} for role in (PARENT, *map(str, facts["seeds"]))}
    known = {role: store.find_run(experiment, identity) for role, identity in roles.items()}
    agent = _agent(store, experiment, tracking, facts, known[PARENT])
    title = f"{agent} · {facts['task']}" if "task" in facts else agent
    created: dict[str, str] = {}
    for role, identity in roles.items():
        tags = tracking.tags | identity | {AGENT: agent}
        if role != PARENT:
            tags |= {"mlflow.parentRunId": created[PARENT], "seed": role}
            tags |= {NOTE: f"Seed {role} of [{escaped(title)}]({run_link(experiment, created[PARENT])})."}
            tags.pop("seeds", None)
        elif "note" in facts:  # Written once: what a user makes of it stays.
            tags |= {NOTE: str(facts["note"])[:LONGEST_NOTE]}
        shown = title if role == PARENT else f"{title} · seed {role}"
        created[role] = known[role] or store.create_run(experiment, shown, tags, start_time)
    parent = created.pop(PARENT)
    return StoredRun(uri, experiment, parent, created), any(known.values())


def _agent(store: Store, experiment: str, tracking: Tracking, facts: Mapping[str, Any], parent: str | None) -> str:
    """The name of the run's agent, with a mark where the experiment has another agent of this name.

    Such as after an edit of the blueprint: runs of equal names are averaged, and must be of the same settings.
    """
    variant = facts.get("variant")
    name = tracking.tags.get(AGENT) or (f"{facts['name']}@{variant}" if variant else str(facts["name"]))
    settings = tracking.tags.get(SETTINGS)
    if parent is not None:
        return store.tag(parent, AGENT) or name
    if settings is None or not store.has_other(experiment, {AGENT: name}, SETTINGS, settings):
        return name
    return f"{name} #{settings[:4]}"
