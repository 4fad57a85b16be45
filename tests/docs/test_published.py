"""Shipped blueprints are what is published, or say why not: every value stated, every deviation declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import published

WITH_FACTS = sorted(
    path.relative_to(published.FACTS).with_suffix("").as_posix() for path in published.FACTS.rglob("*.toml")
)


@pytest.mark.parametrize("name", WITH_FACTS)
def test_a_blueprint_is_what_its_facts_say(name: str) -> None:
    assert list(published.problems(published.read(name))) == []


def test_every_shipped_blueprint_has_a_file_of_facts() -> None:
    assert published.names() == WITH_FACTS


def test_the_pages_are_written_from_the_facts_of_today() -> None:
    stale = [name for name, text in published.pages().items() if (published.FACTS / name).read_text("utf-8") != text]
    assert stale == [], "run `python -m tools.published --write`"


SIMBA = (published.FACTS / "dmc/sac_simba.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ("published = 2.0\n", "published = 1.0\n", "algorithm.update_to_data is 2.0, not 1.0 (configs/base.yaml:25)"),
        ("published = 2.0\n", "published = 1.0\nours = 2.0\n", "algorithm.update_to_data: differs without a reason"),
        (
            "published = 2.0\n",
            "published = 2.0\nours = 2.0\nreason = 'x'\n",
            "is declared to differ from 2.0, and does not",
        ),
        ("published = 2.0\n", "published = 2.0\nvariant = 'clipped'\n", "algorithm.update_to_data has no fact"),
        ('"minimum"\nat', '"mean"\nat', "algorithm.critics is 'minimum', not 'mean'"),
        ('decay = ["*"]', 'decay = ["*weight"]', "optimizers.actor.decay[0] is '*', not '*weight'"),
        (
            'of = "critic", momentum',
            'of = "critic", delay = 2, momentum',
            "averages.target_critic.delay is 'absent', not 2",
        ),
        ('tag = "C"', 'tag = "X"', "tag 'X': write one of C, P, R"),
        ('"optimizers.temperature"]', '"optimizers.x"]', "optimizers.temperature.beta1 has no fact"),
    ],
)
def test_an_undeclared_deviation_is_found(
    written: str, instead: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written in SIMBA
    (tmp_path / "dmc").mkdir()
    (tmp_path / "dmc" / "sac_simba.toml").write_text(SIMBA.replace(written, instead, 1), encoding="utf-8")
    monkeypatch.setattr(published, "FACTS", tmp_path)
    found = list(published.problems(published.read("dmc/sac_simba")))
    assert any(said in each for each in found), found


def test_facts_of_a_parent_hold_until_they_are_replaced() -> None:
    facts = published.read("dmc/sac_mlp")
    keys = [fact.key for fact in facts.facts]
    assert keys.count("algorithm.update_to_data") == keys.count("algorithm.initial_temperature") == 1
    assert "networks.critic.trunk.layers[0].width" not in keys, "it lies below networks.critic.trunk"
