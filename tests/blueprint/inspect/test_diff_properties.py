"""Properties of differences, over sampled pairs of shipped blueprints, their variants, and random overrides."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w

from composer.blueprint import BlueprintError, Loaded, diff, load, serialize
from composer.blueprint.inspect.as_written import ABSENT, Change, changes, side
from composer.blueprint.inspect.diff import diff_text
from composer.blueprint.serialize import digest, flatten
from composer.blueprint.syntax.nodes import read_path
from composer.spec.package_files import blueprints_root

PAIRS = 24
OVERRIDES = (
    "seeds=[3, 4]", "name=other", "description='Another one.'", "compute.threads=3", "training.env_steps=40_000",
    "algorithm.batch_size=32", "algorithm.n_step=2", "~algorithm.n_step", "algorithm.discount=0.9",
    "algorithm.discount={kind='episode_length'}", "networks.critic.copies=2", "networks.critic.head=scalar",
    "networks.actor.trunk.width=96", "networks.critic.trunk=[{kind='linear', width=24}, {kind='relu'}]",
    "networks.critic.trunk={use='simba_post', width=64}", "networks.value.trunk={use='mlp', width=32, depth=1}",
    "optimizers.actor.learning_rate=1e-3", "optimizers.critic={kind='sgd', learning_rate=0.1}", "~interventions",
    "optimizers.value.learning_rate={kind='linear', start=1e-3, end=1e-4, updates=5_000}", "~normalization",
    "interventions.zeroed={use='full_reset', interval=10_000}", "interventions.a={use='full_reset', interval=9_000}",
    "averages.target_critic.momentum=0.9", "replay.capacity=30_000", "~replay.sampling", "diagnostics.every=5_000",
    "evaluation.episodes=3", "checkpoint.every=20_000", "environment.action_repeat=4",
)  # fmt: skip


@cache
def shipped() -> tuple[tuple[Path, str | None], ...]:
    root = blueprints_root()
    files = [file for file in sorted(root.rglob("*.toml")) if "studies" not in file.parts]
    return tuple((file, variant) for file in files for variant in (None, *load(file, is_to_run=False).variants))


def sample(draw: random.Random, near: tuple[Path, str | None] | None = None) -> tuple[Loaded, tuple[Path, str | None]]:
    """A shipped experiment, half of the time of the file of another one, with up to three overrides that it takes."""
    others = [each for each in shipped() if near is None or each[0] == near[0] or draw.random() < 0.5]
    file, variant = draw.choice(others)
    taken: list[str] = []
    for override in draw.sample(OVERRIDES, draw.randrange(4)):
        try:
            load(file, [*taken, override], variant, is_to_run=False)
        except BlueprintError:
            continue
        taken.append(override)
    return load(file, taken, variant, is_to_run=False), (file, variant)


def facts(found: list[Change], mirrored: bool = False) -> set[tuple[str, str, str]]:
    turn = slice(None, None, -1 if mirrored else 1)
    return {(one.key, *map(repr, (one.left, one.right)[turn]), *one.texts()[turn]) for one in found}  # type: ignore[misc]


def applied(left: Loaded, right: Loaded) -> dict[str, Any]:
    """The left one's resolved keys with those of the right one where ``--full`` says that they differ."""
    empty = {key: "{}" for key, is_empty in serialize._tables(serialize.resolved(left.blueprint), ()) if is_empty}
    leaves: dict[str, Any] = {**empty, **flatten(left.blueprint)}
    for one in diff(left.blueprint, right.blueprint):
        leaves.pop(one.key, None)
        if one.right is not None and one.key != "interventions":
            leaves[one.key] = one.right
    # An entry that is new stands where the right one has it; of the others, the order is a difference of its own.
    order = list(flatten(right.blueprint))
    return {key: leaves[key] for key in sorted(leaves, key=lambda key: order.index(key) if key in order else -1)}


def table(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Tables and lists of paths such as ``a.b[0].c``."""
    root: dict[Any, Any] = {}
    for key, value in leaves.items():
        place = root
        *steps, last = read_path(key) or ()
        for step in steps:
            place = place.setdefault(step, {})
        place[last] = {"[]": [], "{}": {}}.get(value, value) if isinstance(value, str) else value
    return _lists(root)  # type: ignore[no-any-return]


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    is_list = bool(inner) and all(isinstance(key, int) for key in inner)
    return [inner[index] for index in range(len(inner))] if is_list else inner


def test_differences_are_empty_complete_mirrored_and_sufficient(tmp_path: Path) -> None:
    draw = random.Random(15)
    for _ in range(PAIRS):
        left, place = sample(draw)
        right, _ = sample(draw, place)
        ours, theirs = side(left.blueprint), side(right.blueprint)
        said, pair = changes(ours, theirs), f"{left.title} and {right.title}"
        assert changes(ours, side(left.blueprint)) == [] == diff(left.blueprint, left.blueprint), left.title
        assert "the same experiment" in diff_text(left, left)
        # Whatever is trained otherwise is said, and so is what only the machine does otherwise.
        trained = digest(left.blueprint) != digest(right.blueprint)
        leaves = [one for one in diff(left.blueprint, right.blueprint) if one.key not in ("name", "description")]
        assert (bool(said) >= trained) and bool(said) == bool(leaves), pair
        assert ("the same experiment" in diff_text(left, right)) == (not trained), pair
        assert facts(said) == facts(changes(theirs, ours), mirrored=True), pair
        back = {(one.key, one.right, one.left) for one in diff(right.blueprint, left.blueprint)}
        assert {(one.key, one.left, one.right) for one in diff(left.blueprint, right.blueprint)} == back, pair
        made = tmp_path / "made.toml"
        made.write_text(tomli_w.dumps(table(applied(left, right))), encoding="utf-8")
        assert digest(load(made, is_to_run=False).blueprint) == digest(right.blueprint), pair
        assert diff(load(made, is_to_run=False).blueprint, right.blueprint) == [], pair


def test_what_two_blueprints_write_alike_and_resolves_otherwise_is_said_by_leaves() -> None:
    whole = side(load(blueprints_root() / "quickstart.toml").blueprint)
    assert whole.resolved is not None
    other = type(whole)(whole.table, {**whole.resolved, "seeds": [7], "name": "other"})
    assert [(one.key, one.left, one.right) for one in changes(whole, other)] == [("seeds[0]", 0, 7)]


def test_the_order_of_interventions_is_said() -> None:
    first, second = "interventions.a={use='full_reset', interval=10}", "interventions.b={use='full_reset', interval=10}"
    left, right = (load(blueprints_root() / "quickstart.toml", each) for each in ((first, second), (second, first)))
    assert digest(left.blueprint) != digest(right.blueprint)
    (one,) = changes(side(left.blueprint), side(right.blueprint))
    assert str(one) == 'interventions: ["a", "b"] → ["b", "a"]'
    (alone,) = changes(side(left.blueprint), side(load(blueprints_root() / "quickstart.toml", [second]).blueprint))
    assert (alone.key, alone.right) == ("interventions.a", ABSENT)
