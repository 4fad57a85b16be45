"""``composer.read``: journals as one table of pandas, to the last bit, whatever their state."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from comparison_runs import write_run

import composer
from composer.studies import Refused
from composer.studies.execution.ledger import holding
from composer.tracking.journal import Journal
from composer.training.runs.edited import RunEdited

RETURN = "evaluation/return"
STARTED = 1_700_000_000.0


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs: two seeds with speed, an event and infinity; a variant on another task; one of a study."""
    folder = tmp_path / "runs"
    folder.mkdir()
    first = write_run(folder / "a", "sac", {3: [0.1, 1 / 3, math.inf], 5: [2.0, 3.0, 4.0]})
    with Journal.resume(first / "journal.jsonl", (first / "journal.jsonl").stat().st_size) as journal:
        journal.append({"type": "event", "env_step": 300, "seed": 5, "name": "reset", "firings": 7})
    clock = iter([STARTED + 0.5, STARTED + 1, STARTED + 9])
    with Journal(first / "timing.jsonl", clock.__next__) as timing:
        for step, speed in ((100, 50.0), (200, 60.0), (200, 70.0)):  # It was resumed: a step is there twice.
            timing.append({"type": "timing", "env_step": step, "seed": None, "metrics": {"updates_per_second": speed}})
    write_run(folder / "b", "sac", {0: [5.0]}, variant="big+wide", task="cartpole-swingup", agent="sac@big+wide [x=1]")
    write_run(folder / "c", "ddpg", {0: [6.0]}, study={"name": "sizes", "label": "width=64", "point": {"width": 64}})
    return folder


def test_every_value_is_a_row_with_what_it_is_of(runs: Path) -> None:
    found = composer.read(runs)
    assert [*found.columns] == [
        *("run", "agent", "blueprint", "variants", "task", "study", "point"),
        *("seed", "env_step", "metric", "value", "time"),
    ]
    types = {name: str(found.dtypes[name]) for name in found.columns}
    assert (types["seed"], types["env_step"], types["value"]) == ("Int64", "int64", "float64")
    assert types["time"] == "datetime64[ms, UTC]"
    assert {types[name] for name in (*found.columns[:7], "metric")} == {"category"}
    of = found[(found.metric == RETURN) & (found.run == "a")].pivot(index="env_step", columns="seed", values="value")
    assert of[3].to_dict() == {100: 0.1, 200: 1 / 3, 300: math.inf} and of[5].tolist() == [2.0, 3.0, 4.0]
    facts = found.drop_duplicates("run").set_index("run")[[*found.columns[1:7]]]
    assert facts.loc["a"].tolist() == ["sac", "sac", "", "walker-walk", "", ""]
    assert facts.loc["b"].tolist() == ["sac@big+wide [x=1]", "sac", "big+wide", "cartpole-swingup", "", ""]
    assert facts.loc["c"].tolist() == ["ddpg", "ddpg", "", "walker-walk", "sizes", "width=64"]
    event = found[found.metric == "events/reset"].iloc[0]
    assert (event.seed, event.env_step, event.value) == (5, 300, 7.0)


def test_times_and_speed_are_those_of_the_first_time_a_step_was_reached(runs: Path) -> None:
    found = composer.read(runs / "a")
    speed = found[found.metric == "updates_per_second"]
    assert speed.value.tolist() == [50.0, 60.0] and speed.seed.isna().all()
    when = found[(found.metric == RETURN) & (found.seed == 3)].time
    assert [None if each != each else each.timestamp() for each in when] == [STARTED + 0.5, STARTED + 1, None]


def test_places_are_a_run_a_folder_a_glob_a_study_or_a_list_of_them(runs: Path, tmp_path: Path) -> None:
    def names(*places: object) -> list[str]:
        return composer.read([*places], RETURN).run.unique().tolist()  # type: ignore[arg-type,no-any-return]

    assert names(runs / "b") == ["b"] and names(str(runs)) == ["a", "b", "c"]
    assert names(runs / "c", runs, runs / "a") == ["c", "a", "b"]
    assert names(f"{runs}/[ab]") == ["a", "b"]
    with holding(tmp_path / "study") as ledger:
        ledger.append("planned", "k", point={"width": 32})
        ledger.append("finished", "k", directory="../runs/b")
        ledger.append("planned", "later", point={"width": 64})
    found = composer.read(tmp_path / "study")
    assert found[["run", "study", "point"]].drop_duplicates().to_numpy().tolist() == [["b", "study", "width=32"]]


def test_metrics_are_kept_by_name_or_glob_and_a_wrong_name_is_answered(runs: Path) -> None:
    assert composer.read(runs, RETURN).metric.cat.categories.tolist() == [RETURN]
    kept = composer.read(runs, ["events/*", "*/return"]).metric
    assert set(kept.cat.categories) == {"events/reset", RETURN, "training/return"}
    with pytest.raises(Refused, match="no run has a metric 'evaluation/retrun'; did you mean 'evaluation/return'"):
        composer.read(runs, [RETURN, "evaluation/retrun"])


def test_a_row_that_is_half_written_is_said_and_left_out(runs: Path) -> None:
    path = runs / "a" / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.warns(UserWarning, match=r"a/journal\.jsonl: read up to byte \d+: the last line is torn"):
        assert "events/reset" not in set(composer.read(runs).metric)
    path.write_bytes(whole.replace(b'"env_step":200', b'"env_step":201', 1))
    with pytest.warns(UserWarning, match="checksum does not fit"):
        assert composer.read(runs / "a", RETURN).env_step.tolist() == [100, 100]


def test_what_is_no_run_is_refused(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "absent", f"{runs}/z*"):
        with pytest.raises(Refused, match="there is no run in"):
            composer.read(place)
    with pytest.raises(Refused, match="no run is named"):
        composer.read([])
    (runs / "b" / "run.json").write_text(json.dumps({"sha256": "0"}))
    with pytest.raises(RunEdited, match=r"run\.json was edited or damaged"):
        composer.read(runs)


def test_it_loads_pandas_only_when_it_reads() -> None:
    loaded = "[name for name in ('pandas', 'torch', 'mlflow') if name in sys.modules]"
    script = f"import sys, composer; composer.read; print({loaded})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
