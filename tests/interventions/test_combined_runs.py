"""Runs with combined triggers: killed and resumed, forked, refused, and what they say at their end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import DRIFT, begin, finished, result, resumed, rows, stopped, tiny

from composer.blueprint import BlueprintError, load
from composer.studies.doctor.shorter import until
from composer.training.assemble import fork

ALL = (
    "{ kind = 'all', of = [{ kind = 'any', of = [{ kind = 'quantile', metric = 'critic/loss', above = 0.5, readings = 2"
    " }, { kind = 'every', interval = 30, clock = 'env' }] }, { kind = 'not', of = { kind = 'slope', metric ="
    " 'evaluation/return', above = 1e9, readings = 2 } }], clock = 'env', cooldown = 20, maximum = 3 }"
)
RUN = (DRIFT, "seeds=[0, 5]", "training.env_steps=140", "training.log_every=10", "evaluation.every=20")


def redo(when: str) -> str:
    """An override: a reset of the head that waits for ``when``."""
    head = "where = ['critic.head.*'], do = { kind = 'lerp', toward.kind = 'fresh' }"
    return f"interventions.it={{ when = {when}, {head} }}"


def test_a_run_that_is_killed_between_its_readings_fires_where_the_other_does(tmp_path: Path) -> None:
    whole, session = finished(tmp_path / "whole", *RUN, redo(ALL))
    assert session.surgery.fired["it"].tolist() == [2, 2]
    cut = resumed(stopped(*begin(tmp_path / "cut", *RUN, redo(ALL)), at=75))
    assert result(cut) == result(whole)
    assert (cut / "journal.jsonl").read_bytes() == (whole / "journal.jsonl").read_bytes()


def test_a_metric_that_no_run_writes_is_refused_at_its_key() -> None:
    wrong = ALL.replace("evaluation/return", "evaluation/retur")
    with pytest.raises(BlueprintError, match="no metric 'evaluation/retur' is written") as caught:
        tiny(*RUN, redo(wrong))
    assert "interventions.it.when.of[1].of.metric" in str(caught.value)
    assert "did you mean 'evaluation/return'?" in str(caught.value)


def test_a_run_says_what_was_read_of_each_metric(tmp_path: Path) -> None:
    run, _ = finished(tmp_path, *RUN, redo(ALL.replace("above = 1e9", "above = -1e9")))
    (row,) = [row for row in rows(run) if row["type"] == "event" and row["name"] == "never_fired"]
    assert row["metric"] == "critic/loss, evaluation/return"
    assert "critic/loss was read 9 times" in row["why"] and "evaluation/return was read" in row["why"]
    assert "and not (the slope of evaluation/return over 2 readings is above -1e+09 a reading)" in row["why"]


def test_a_fork_reads_anew_what_it_judges_otherwise(tmp_path: Path) -> None:
    run, _ = finished(tmp_path, *RUN, redo(ALL))

    def state(when: str) -> list[bool]:
        blueprint = load(run / "blueprint.toml", [f"interventions.it.when={when}", "training.env_steps=200"]).blueprint
        of_fork, session, _ = fork(run, blueprint, None, 0, tmp_path / "forks")
        session.close()
        of_fork.close()
        named = session.surgery.tensors()
        found = [named[f"interventions/it/{key}"] for key in ("readings", "past", "streak")]
        return [bool(value.any()) for value in (*found[:-1], found[-1][-1])]

    assert state(ALL.replace("maximum = 3", "maximum = 9")) == [True] * 3
    assert state(ALL.replace("above = 0.5", "above = 0.6")) == [False, False, True]


def test_the_forks_of_the_doctor_keep_what_can_still_fire() -> None:
    crossing = "{ kind = 'crossing', metric = 'critic/loss', above = 1e9 }"
    late = "{ kind = 'at', steps = [120], clock = 'env' }"
    either, both = (f"{{ kind = '{kind}', of = [{crossing}, {late}] }}" for kind in ("any", "all"))
    blueprint = tiny(*RUN, redo(either), redo(both).replace("interventions.it", "interventions.both"))
    kept, removed = until(blueprint, 40, 100)
    assert "critic/loss" in kept and "steps" not in kept and kept.startswith("interventions.it.when=")
    assert removed == "~interventions.both"
    assert not [*until(blueprint, 40, 140)]
