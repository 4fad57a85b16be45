"""What published loops do, and in which order: our loop over a hundred interactions beside tables of facts.

Each table in tests/papers/trajectories/ was read off the authors' code at the lines that it names. An event happens in
the interactions ``from`` to ``to``, or every ``every``-th from ``from`` on; events of an interaction are in order.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import Drift, interactions

from composer.blueprint import load
from composer.spec.package_files import blueprints_root
from composer.training import assemble
from composer.training.collect.on_policy import Rollout
from composer.training.collect.simulation import SimulatorCollector
from composer.training.session import Session

TABLES = sorted((Path(__file__).parent / "trajectories").glob("*.toml"))
LENGTH = 100
SCALED = ("seeds=[0]", "algorithm.batch_size=4", "compute.compile=never", "compute.threads=1", "tracking.kind=none")
VECTORS = 'environment={ kind = "test/drift", action_repeat = 1, copies = 1 }'
assert Drift.kind


class Watch:
    """Writes down what a session does, event by event."""

    def __init__(self, session: Session) -> None:
        self.events: list[str] = []
        self.steps: list[str] = []
        self.counted: list[dict[str, float]] = []
        """At each update, how many observations and rewards are in the statistics."""
        assert isinstance(session.collector, SimulatorCollector)
        self._session, self._learner, memory = session, session.learner, session.collector.memory
        self._before(self._learner, "observe", "observe")
        self._before(self._learner, "act_randomly", "act randomly")
        self._before(memory, "act", "act")
        self._before(memory, "add", "store")
        if isinstance(memory, Rollout):
            self._before(memory, "_evaluate", "evaluate")
            self._around_draws(memory)
        self._around_steps()
        record = session.record
        session.record = lambda kind, **row: (self._fired(kind, row), record(kind, **row))[1]  # type: ignore[method-assign]

    def _before(self, owner: Any, method: str, event: str) -> None:
        real: Callable[..., Any] = getattr(owner, method)

        def watched(*arguments: Any, **named: Any) -> Any:
            self.events.append(event)
            return real(*arguments, **named)

        setattr(owner, method, watched)

    def _around_draws(self, memory: Rollout) -> None:
        real = memory.draw

        def draw() -> Any:
            order = memory._order
            drawn = real()
            if memory._order is not order:
                self.events.append("epoch")
            return drawn

        memory.draw = draw  # type: ignore[method-assign]

    def _around_steps(self) -> None:
        step, averages = self._learner._gradient_step, self._learner._moving_averages
        real_step, real_move, compute = step.step, averages.move, self._learner.compute_update
        declared = list(self._learner.averages)

        def watched_step(objective: Any, *rest: Any) -> None:
            self.steps.append(objective.role)
            real_step(objective, *rest)

        def watched_move(updates: torch.Tensor) -> None:
            self.steps += [f"average {name}" for name in declared]
            real_move(updates)

        def watched_update(*tensors: torch.Tensor) -> None:
            self.events.append("update")
            self.counted.append(self._counts())
            compute(*tensors)
            self.events += [f"copy {name}" for name in declared if self._is_copied(name)]

        step.step, averages.move = watched_step, watched_move  # type: ignore[method-assign]
        self._learner.captured = [watched_update]

    def _is_copied(self, name: str) -> bool:
        role, average = self._learner.averaged_roles()[name]
        network = self._learner.networks[role].parameters
        return all(torch.equal(value, network[path]) for path, value in average.parameters.items())

    def _counts(self) -> dict[str, float]:
        """Less the weight of the starting values."""
        found = {}
        if self._learner.statistics is not None:
            found["observations"] = float(self._learner.statistics.weight[0]) - 1e-4
        if self._learner.rewards is not None:
            found["rewards"] = float(self._learner.rewards.moments.weight[0]) - 1e-4
        return found

    def _fired(self, kind: str, row: Mapping[str, Any]) -> None:
        if kind == "event":
            self.events.append(str(row.get("intervention", row["name"])))


@pytest.mark.parametrize("overlap", ["false", "true"])
def test_rewards_are_counted_alike_where_environments_step_beside_updates(overlap: str, tmp_path: Path) -> None:
    table = tomllib.loads((TABLES[0].parent / "simba_v2.toml").read_text(encoding="utf-8"))
    overrides = [*table["overrides"], f"training.overlap={overlap}"]
    session = started({**table, "overrides": overrides}, tmp_path)
    watch = Watch(session)
    for number, _ in enumerate(interactions(session), 1):
        assert all(round(counted["rewards"]) == number - 1 for counted in watch.counted)
        watch.counted.clear()
    session.close()


def started(table: Mapping[str, Any], runs: Path) -> Session:
    name, _, variant = table["blueprint"].partition("@")
    vectors = () if name.startswith("atari/") else (VECTORS,)
    length = f"training.env_steps={LENGTH * (4 if name.startswith('atari/') else 1)}"
    overrides = (*SCALED, *vectors, length, *table["overrides"])
    blueprint = load(blueprints_root() / f"{name}.toml", overrides, variant or None).blueprint
    _, session = assemble.start(blueprint, runs, None)
    return session


def published(table: Mapping[str, Any], interaction: int) -> list[str]:
    """The events of one interaction, counted from 1."""
    found: list[str] = []
    for each in table["event"]:
        since = interaction - each["from"]
        if since < 0 or interaction > each.get("to", LENGTH) or since % each.get("every", 1):
            continue
        held = each.get("holds", {"name": "", "times": 0})
        found += [each["name"], *[held["name"]] * held["times"]] * each.get("times", 1)
    return found


def test_the_tables_are_there() -> None:
    wanted = {
        "simba_sac",
        "simba_ddpg",
        "simba_v2",
        "primacy_bias_sac",
        "dopamine_dqn",
        "dopamine_drq",
        "td3",
        "crossq",
        "spr",
        "bbf",
    }
    assert {path.stem for path in TABLES} >= wanted | {"cleanrl_ppo"}


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_our_loop_does_what_the_published_one_does_in_the_same_order(path: Path, tmp_path: Path) -> None:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    session = started(table, tmp_path)
    watch = Watch(session)
    told = {each["name"] for each in table["event"]} | {"act", "act randomly", "observe", "store", "update"}
    told |= {each["holds"]["name"] for each in table["event"] if "holds" in each}
    if not any(each["name"] == "observe" for each in table["event"]):
        told.discard("observe")
    updates = 0
    for number, _ in enumerate(interactions(session), 1):
        events = [event for event in watch.events if event in told]
        assert events == published(table, number), f"interaction {number}"
        for counted in watch.counted:
            updates += 1
            for what, found in counted.items():
                if (offset := table.get(f"{what}_counted")) is not None:
                    assert found == pytest.approx(number + offset, abs=1e-6), f"{what} at interaction {number}"
        watch.events.clear(), watch.counted.clear()
    assert number == LENGTH
    assert watch.steps == table["update"] * updates and updates
    session.close()


OTHERS = [
    ("simba_sac", "algorithm.untrained_interactions=1"),
    ("simba_sac", "algorithm.first=critic"),
    ("simba_v2", "algorithm.untrained_interactions=2"),
    ("primacy_bias_sac", "algorithm.first=actor"),
    ("primacy_bias_sac", "algorithm.untrained_interactions=0"),
    ("dopamine_dqn", "averages.target_value.momentum.first=4"),
    ("spr", "averages.target_value.momentum=0.995"),
]
"""Changes of a blueprint that a table must not let pass."""


@pytest.mark.parametrize(("stem", "override"), OTHERS)
def test_a_loop_of_another_order_is_told_apart(stem: str, override: str, tmp_path: Path) -> None:
    table = tomllib.loads((TABLES[0].parent / f"{stem}.toml").read_text(encoding="utf-8"))
    session = started({**table, "overrides": [*table["overrides"], override]}, tmp_path)
    watch, differs = Watch(session), False
    for number, _ in enumerate(interactions(session), 1):
        names = {*published(table, number), "update", "act", "act randomly", "copy target_value"}
        differs |= [event for event in watch.events if event in names] != published(table, number)
        watch.events.clear()
    differs |= watch.steps[: len(table["update"])] != table["update"]
    assert differs
    session.close()
