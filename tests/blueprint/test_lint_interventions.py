"""Advice on interventions at its edges: other clocks, firings that a metric decides, what a rule is not about."""

from __future__ import annotations

import pytest

from composer.blueprint import load
from composer.blueprint.inspect.lint import RULES
from composer.blueprint.inspect.lint.base import Subject
from composer.spec.package_files import blueprints_root

FRESH = 'do={ kind="lerp", toward={ kind="fresh" } }'
ENV = 'when={ kind="every", interval=10_000, clock="env" }'
RESET = 'interventions.a={ use="head_reset", interval=10_000, spare_last=10_000 }'
TORTOISE = 'averages.tortoise={ of="actor", momentum=0.999 }'
HARE = 'interventions.a={{ use="hare_and_tortoise", interval={}, clock="update", where=["actor.*"] }}'
CROSSING = 'when={ kind="crossing", metric="evaluation/return", below=1.0 }'


def found(rule: str, overrides: tuple[str, ...]) -> list[str]:
    """The paths of which a rule speaks in the quickstart under overrides."""
    subject = Subject(load(blueprints_root() / "quickstart.toml", overrides).blueprint)
    (finder,) = (one for one in RULES if one.id == rule)
    return [".".join(map(str, path)) for path, _ in finder.find(subject)]


@pytest.mark.parametrize(
    ("rule", "variant"),
    [("late-reset", "head_reset"), ("late-reset", "cold_start"), ("batch-norm-target", "self_distillation")],
)
def test_phases_of_labelled_data_are_no_episodes(rule: str, variant: str) -> None:
    """What comes at the last switch is followed by the last phase; a teacher's values are not bootstrapped from."""
    subject = Subject(load(blueprints_root() / "warm_start" / "resnet18.toml", (), variant).blueprint)
    (finder,) = (one for one in RULES if one.id == rule)
    assert list(finder.find(subject)) == []


@pytest.mark.parametrize(
    ("do", "speaks"),
    [
        ('do={ kind="lerp", toward={ kind="initial" } }', True),
        ('do={ kind="lerp", toward={ kind="fresh" }, amount=0.5 }', False),
        ('do={ kind="perturb", keep=0.4, noise={ kind="fresh" } }', True),
        ('do={ kind="perturb", keep=0.6 }', False),
        ('do={ kind="nothing" }', False),
    ],
)
def test_moments_are_stale_where_most_of_the_weights_is_gone(do: str, speaks: bool) -> None:
    it = f'interventions.a={{ {ENV}, where=["critic.head.*"], {do} }}'
    assert found("stale-moments", (it,)) == (["interventions.a"] if speaks else [])


def test_a_reset_of_every_update_has_no_last_one_to_speak_of() -> None:
    often = RESET.replace("10_000", "1").replace("spare_last=1", 'spare_last=0, clock="update"')
    assert found("late-reset", (often,)) == []
    assert found("late-reset", (f'interventions.a={{ {CROSSING}, where=["critic.head.*"], {FRESH} }}',)) == []


@pytest.mark.parametrize(
    ("clock", "interval", "speaks"), [("env", 1_999, True), ("env", 2_001, False), ("update", 1, True)]
)
def test_a_tortoise_is_checked_in_updates(clock: str, interval: int, speaks: bool) -> None:
    # The quickstart makes an update every two environment steps.
    hare = HARE.format(interval).replace('"update"', f'"{clock}"')
    assert found("early-tortoise", (TORTOISE, hare)) == (["interventions.a.when"] if speaks else [])
    if clock == "env":
        assert found("early-tortoise", (TORTOISE, hare, "algorithm.update_to_data=1.1")) == []


def test_a_tortoise_that_never_moves_is_never_late_enough() -> None:
    assert found("early-tortoise", (TORTOISE.replace("0.999", "1.0"), HARE.format(20_000))) == ["interventions.a.when"]
