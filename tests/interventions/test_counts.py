"""Frequent firings are counted per row of metrics, rare ones recorded one by one; nothing is lost by a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_runs import DRIFT, begin, finished, interactions, result, resumed, rows, stopped

from composer.training.session import Session

SHORT = (
    DRIFT,
    "seeds=[0, 5]",
    "training.env_steps=150",
    "training.log_every=30",
    "evaluation.every=60",
    "checkpoint.every=50",
    "algorithm.warmup_interactions=20",
)


def planned(every: int, clock: str = "update") -> str:
    when = f'when = {{ kind = "every", interval = {every}, clock = "{clock}" }}'
    return f"interventions.project={{ {when}, {DO}, {WHERE} }}"


DO = 'do = { kind = "project", norm = "initial" }'
WHERE = 'where = ["critic.*weight"]'


def events(run: Path) -> list[dict[str, Any]]:
    return [row for row in rows(run) if row.get("name") == "project"]


@pytest.fixture(scope="module")
def frequent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Session]:
    """A run whose operation fires at every update."""
    return finished(tmp_path_factory.mktemp("frequent"), *SHORT, planned(1))


def test_an_operation_at_every_update_has_one_event_per_row(frequent: tuple[Path, Session]) -> None:
    run, session = frequent
    found = events(run)
    assert [row["env_step"] for row in found if row["seed"] == 5] == [30, 60, 90, 120, 150]
    assert [row["firings"] for row in found if row["seed"] == 5] == [10, 30, 30, 30, 30]
    assert [row["firing"] for row in found if row["seed"] == 0] == [10, 40, 70, 100, 130]
    assert found[-1]["at"] == {"update": session.clock.updates} == {"update": 130}
    assert session.surgery.fired["project"].tolist() == [130, 130]


def test_a_combination_that_fires_at_every_update_has_one_event_per_row_too(tmp_path: Path) -> None:
    parts = '{ kind = "every", interval = 1 }, { kind = "crossing", metric = "critic/loss", below = -1.0 }'
    when = f'when = {{ kind = "any", of = [{parts}], maximum = 0 }}'
    run, session = finished(tmp_path, *SHORT, f"interventions.project={{ {when}, {DO}, {WHERE} }}")
    assert [row["firings"] for row in events(run) if row["seed"] == 5] == [10, 30, 30, 30, 30]
    assert session.surgery.fired["project"].tolist() == [130, 130]


@pytest.mark.parametrize(
    ("every", "clock", "one_by_one"), [(1, "interaction", False), (3, "update", True), (40, "env", True)]
)
def test_rare_firings_stay_events_of_their_own(every: int, clock: str, one_by_one: bool, tmp_path: Path) -> None:
    run, session = finished(tmp_path, *SHORT, planned(every, clock))
    found = events(run)
    assert all("firings" not in row for row in found) == one_by_one
    total = sum(row.get("firings", 1) for row in found if row["seed"] == 0)
    assert total == int(session.surgery.fired["project"][0])


def test_counts_add_up_to_what_single_events_say(frequent: tuple[Path, Session], tmp_path: Path) -> None:
    counted, _ = frequent
    single, _ = finished(tmp_path / "single", *SHORT, planned(1), "training.log_every=5", "evaluation.every=150")
    each = [row for row in events(single) if row["seed"] == 0]
    assert all("firings" not in row for row in each) and len(each) == 130
    mine = [row for row in events(counted) if row["seed"] == 0]
    assert sum(row["entries_changed"] for row in mine) == sum(row["entries_changed"] for row in each)
    assert (mine[-1]["norm_before"], mine[-1]["norm_after"]) == (each[-1]["norm_before"], each[-1]["norm_after"])


@pytest.mark.parametrize("at", [25, 44, 73])
def test_a_stopped_run_counts_on(at: int, frequent: tuple[Path, Session], tmp_path: Path) -> None:
    run = stopped(*begin(tmp_path / "stopped", *SHORT, planned(1)), at=at)
    assert result(resumed(run)) == result(frequent[0])


def test_a_journal_stays_small_however_often_an_operation_fires(frequent: tuple[Path, Session], tmp_path: Path) -> None:
    rare, _ = finished(tmp_path, *SHORT, planned(120))
    assert len(events(rare)) == 2
    frequents, rares = ((run / "journal.jsonl").stat().st_size for run in (frequent[0], rare))
    assert frequents - rares < 5 * 2 * 250  # An event per row and seed; 130 updates were made.


def test_frequent_firings_wait_for_no_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, session = begin(tmp_path, *SHORT, planned(1))
    monkeypatch.setattr(session.surgery, "_record_event", lambda *_: pytest.fail("recorded"))
    for number, _ in enumerate(interactions(session)):
        if number == 60:
            break
    assert session.surgery.counts.state()["project"]["sums"]["firings"] == [41.0, 41.0]
    monkeypatch.undo()
    session.close()
    run.close()
