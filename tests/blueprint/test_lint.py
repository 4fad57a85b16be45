"""Advice: each rule where it has something to say, and where it has not; what is said of the blueprints that ship."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from composer.blueprint import BlueprintError, load
from composer.blueprint.inspect.lint import RULES, Advice, lint, lint_json, lint_text
from composer.blueprint.inspect.lint.base import Subject
from composer.spec.package_files import blueprint_files, blueprints_root

QUICKSTART = blueprints_root() / "quickstart.toml"
MLP = 'networks.{}.trunk=[{{ kind="linear", width=8 }}, {{ kind="relu" }}]'
SPHERE = 'networks.critic.trunk=[{ kind="linear", width=8, unit_norm = "rows", bias = false }, { kind="unit_norm" }]'
BATCH = 'networks.critic.trunk=[{ kind="linear", width=8 }, { kind="batch_norm" }]'
FRESH = 'do={ kind="lerp", toward={ kind="fresh" } }'
RESET = 'interventions.a={ use="head_reset", interval=10_000, spare_last=10_000 }'
TORTOISE = 'averages.tortoise={ of="actor", momentum=0.999 }'
HARE = 'interventions.a={{ use="hare_and_tortoise", interval={}, clock="update", where=["actor.*"] }}'
ENV = 'when={ kind="every", interval=10_000, clock="env" }'

MEASURED = 'measure={ updates=50, firings=1, signals=["critic/loss"] }'

# By rule: overrides of the quickstart under which it speaks, and of what; overrides under which it is silent.
CASES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "measured-effect": (
        (f"interventions.a={{ {ENV}, where=['critic.head.*'], moments='zero', {FRESH}, {MEASURED} }}",),
        "interventions.a.measure",
        (f"interventions.a={{ {ENV}, where=['critic.head.*'], moments='zero', {FRESH} }}",),
    ),
    "norm-and-decay": ((MLP.format("critic"),), "networks.critic.trunk", ()),
    "high-update-to-data": (
        (MLP.format("critic"), "algorithm.update_to_data=4"),
        "algorithm.update_to_data",
        (MLP.format("critic"), "algorithm.update_to_data=3.5"),
    ),
    "batch-norm-target": ((BATCH,), "networks.critic.trunk", (BATCH.replace("critic", "actor"),)),
    "sphere-and-decay": ((SPHERE,), "optimizers.critic.weight_decay", (SPHERE, "optimizers.critic.weight_decay=0.0")),
    "sphere-and-layer-norm": (
        (SPHERE.replace('"unit_norm"', '"layer_norm"'),),
        "networks.critic.trunk",
        (SPHERE,),
    ),
    "raw-observations": (
        ('normalization.observation={ kind="raw" }',),
        "normalization.observation",
        ('normalization.observation={ kind="raw" }', MLP.format("critic"), MLP.format("actor")),
    ),
    "decay-mask": (
        ('optimizers.critic.decay=["*weight"]',),
        "optimizers.critic.decay",
        ('optimizers.critic.decay=["*linear*weight"]',),
    ),
    "two-averages": (
        ('averages.slow={ of="critic", momentum=0.999 }',),
        "averages.slow",
        ('averages.slow={ of="actor", momentum=0.99 }',),
    ),
    "short-replay": (("replay.capacity=29_999",), "replay.capacity", ("replay.capacity=30_000",)),
    "long-horizon": (("algorithm.discount=0.9981",), "algorithm.discount", ("algorithm.discount=0.998",)),
    "stale-moments": (
        (f'interventions.a={{ {ENV}, where=["critic.head.*"], {FRESH} }}',),
        "interventions.a",
        (f'interventions.a={{ {ENV}, where=["critic.head.*"], {FRESH}, moments="keep" }}',),
    ),
    "late-reset": ((RESET.replace("spare_last=10_000", "spare_last=0"),), "interventions.a.when", (RESET,)),
    "early-tortoise": (
        (TORTOISE, HARE.format(999)),
        "interventions.a.when",
        (TORTOISE, HARE.format(1_001)),
    ),
    "target-as-tortoise": (
        (HARE.format(1_001).replace("actor", "critic").replace("clock", 'average="target_critic", clock'),),
        "interventions.a.do",
        (TORTOISE, HARE.format(1_001)),
    ),
    "one-seed": (("seeds=[7]",), "seeds", ("seeds=[7, 8]",)),
    "one-episode": (("evaluation.episodes=1",), "evaluation.episodes", ("evaluation.episodes=2",)),
}


def found(rule: str, overrides: tuple[str, ...]) -> list[str]:
    """The paths of which a rule speaks in the quickstart under overrides."""
    subject = Subject(load(QUICKSTART, overrides).blueprint)
    (finder,) = (one for one in RULES if one.id == rule)
    return [".".join(map(str, path)) for path, _ in finder.find(subject)]


def test_every_rule_has_its_case_and_says_who_says_so() -> None:
    assert set(CASES) == {rule.id for rule in RULES}
    assert max(Counter(rule.id for rule in RULES).values()) == 1
    for rule in RULES:
        assert rule.summary.endswith(".")
        assert rule.source == "argued" or re.search(r"arXiv:\d{4}\.\d{5}", rule.source), rule.id


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_speaks_where_it_should_and_nowhere_else(rule: str) -> None:
    speaks, path, silent = CASES[rule]
    assert found(rule, speaks) == [path]
    assert found(rule, silent) == []


def test_norm_and_decay_says_what_is_missing() -> None:
    assert found("norm-and-decay", ("optimizers.critic.weight_decay=0.0",)) == ["optimizers.critic"]
    assert found("norm-and-decay", (MLP.format("actor"), "optimizers.actor.weight_decay=0.0")) == [
        "networks.actor.trunk"
    ]
    assert found("norm-and-decay", (SPHERE, "optimizers.critic.weight_decay=0.0")) == [], "a sphere needs neither"


def test_the_decay_of_an_optimizer_inside_another_counts() -> None:
    for decay, reported in ((0.0, ["optimizers.critic"]), (0.01, [])):
        base = f'optimizers.critic={{ kind="sam", base={{ kind="adamw", weight_decay={decay} }} }}'
        assert found("norm-and-decay", (base,)) == reported


@pytest.mark.parametrize("kind", ["layer_norm", "unit_norm"])
def test_normalisation_of_any_kind_bears_many_updates(kind: str) -> None:
    trunk = f'networks.critic.trunk=[{{ kind="linear", width=8 }}, {{ kind="{kind}" }}]'
    assert found("high-update-to-data", (trunk, "algorithm.update_to_data=16")) == []


def test_an_infinite_horizon_is_reported() -> None:
    assert found("long-horizon", ("algorithm.discount=1.0",)) == ["algorithm.discount"]


def test_observations_may_be_normalised_in_the_trunk() -> None:
    trunk = 'networks.{}.trunk=[{{ kind="rs_norm" }}, {{ use="simba", width=8 }}]'
    raw = 'normalization.observation={ kind="raw" }'
    assert found("raw-observations", (raw, trunk.format("actor"), trunk.format("critic"))) == []


def test_batch_norm_may_have_a_target_that_reads_the_joint_batch() -> None:
    assert found("batch-norm-target", (BATCH, "algorithm.joint_batch=false")) == ["networks.critic.trunk"]
    assert found("batch-norm-target", (BATCH, "algorithm.joint_batch=true")) == []


def test_two_averages_of_one_momentum_are_one() -> None:
    subject = Subject(load(QUICKSTART, ['averages.twin={ of="critic", momentum=0.99 }']).blueprint)
    (rule,) = (one for one in RULES if one.id == "two-averages")
    ((_, message),) = rule.find(subject)
    assert message.startswith("the same numbers as target_critic")


def test_advice_is_at_its_line_and_variants_are_distinguished(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    text = (
        QUICKSTART.read_text() + "[replay]\ncapacity = 1_000\n[variants.short]\nreplay.capacity = 2_000\nseeds = [1]\n"
    )
    path.write_text(text)
    advice = {(one.rule, one.variant): one for one in lint(path)}
    assert set(advice) == {("one-seed", None), ("short-replay", None), ("short-replay", "short")}
    one = advice["short-replay", "short"]
    lines = text.split("\n")
    assert lines[one.line - 1] == "replay.capacity = 2_000"
    assert lines[advice["one-seed", None].line - 1].startswith("seeds")
    shown = str(one)
    assert shown.startswith(f"{path}:{one.line}:{one.column}: info: replay.capacity: keeps 2,000 of the run's 30,000")
    assert shown.endswith("(variant short) [short-replay; Fedus et al., arXiv:2007.06700]")
    assert lint_text([one, one]) == f"{shown}\n{shown}"
    (table,) = lint_json([one])["advice"]
    assert (table["rule"], table["severity"], table["variant"]) == ("short-replay", "info", "short")


def test_a_blueprint_that_is_wrong_is_not_advised_on(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(QUICKSTART.read_text().replace("batch_size", "bach_size"))
    with pytest.raises(BlueprintError, match="batch_size"):
        lint(path)


RATIOS = {
    "sac_resets": ("ratio_4", "ratio_8", "ratio_16", "ratio_32"),
    "sr_sac": (None, "ratio_4", "ratio_8", "ratio_16", "ratio_64", "ratio_128"),
    "sr_spr": (None, "ratio_4", "ratio_16"),
    "bbf": ("ratio_8",),
    "drq_hare_tortoise": ("ratio_4",),
    "sac_altnet": ("ratio_4",),
}
DIVERGENT = {(name, "high-update-to-data", variant) for name, variants in RATIOS.items() for variant in variants}
"""What is studied there: replay ratios at which plain networks need resets or slow copies, arXiv:2205.07802."""


@pytest.mark.parametrize("path", blueprint_files(), ids=lambda path: path.stem)
def test_what_ships_is_warned_of_nothing(path: Path) -> None:
    advice: list[Advice] = lint(path)
    warned = [one for one in advice if one.severity == "warn"]
    assert [str(one) for one in warned if (path.stem, one.rule, one.variant) not in DIVERGENT] == []
