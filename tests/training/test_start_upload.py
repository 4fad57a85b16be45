"""What the store is told of a run: the tags by which it is found and grouped, and the names of its metrics."""

import json
from pathlib import Path

import pytest
from tiny_runs import DRIFT, TINY, finished

from composer.blueprint import flatten, load
from composer.training import assemble
from composer.training.assemble.start_upload import describe
from composer.training.runs import directory as runs
from composer.training.runs.membership import STUDY

BEGINNING = (DRIFT, "seeds=[3, 5]", "training.env_steps=60", "algorithm.batch_size=16", "checkpoint.every=20")


def test_tags_say_what_is_trained_and_survive_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blueprint = load(TINY, BEGINNING).blueprint
    point = {"label": "batch=16", "point": {"batch": 16}}
    key = assemble.new_run.blueprint_digest(blueprint)
    monkeypatch.setenv(STUDY, json.dumps({"name": "batches", "folder": ".", "points": {key: point}}))
    run, session = assemble.start(blueprint, tmp_path, "small+wide")
    session.close()
    run.close()
    said = describe(blueprint, run.facts, tmp_path)
    assert "**tiny@small+wide [" in run.facts["note"] and "60 environment steps, 2 seeds" in run.facts["note"]
    assert "- `algorithm.batch_size: 32 → 16`" in run.facts["note"]
    assert said.parameters["algorithm.batch_size"] == "16" and said.parameters["seeds"] == "[3, 5]"
    older = {name: value for name, value in run.facts.items() if name != "settings"}
    assert describe(blueprint, older, tmp_path).parameters == flatten(blueprint)  # which its store has
    networks = json.loads((run.path / "parameters.json").read_text())
    expected = {
        "agent": 'tiny@small+wide [algorithm.batch_size=16, environment.kind="test/drift", training.env_steps=60]',
        "blueprint": "tiny",
        "variants": "small+wide",
        "suite": "test/drift",
        "task": "test/drift",
        "seeds": "3,5",
        "study": "batches",
        "point": "batch=16",
        "git": run.facts["git_commit"],
        "parameters": str(sum(network["count"] for network in networks.values())),
    }
    assert expected.items() <= said.tags.items()
    assert said.experiment == "batches"
    assert (
        describe(blueprint, {**run.facts, "study": None}, Path("/home/me/my project/runs")).experiment == "my project"
    )
    assert said.headline == "evaluation/return"
    assert {"evaluation/return", "critic/loss", "speed/updates_per_second"} <= {*said.metrics}
    # A run that goes on knows only its directory: the settings of its command line are not in there as such.
    assert describe(runs.read_blueprint(run.path), runs.read_facts(run.path), tmp_path) == said


def test_a_fork_is_another_agent_than_the_run_that_it_left(tmp_path: Path) -> None:
    origin, _ = finished(tmp_path, *BEGINNING)
    changed = load(origin / "blueprint.toml", ["algorithm.batch_size=8"]).blueprint
    run, session, _ = assemble.fork(origin, changed, 40, 0, tmp_path)
    session.close()
    run.close()
    tags = describe(changed, run.facts, tmp_path).tags
    before = runs.read_facts(origin)["agent"]
    assert tags["agent"] == f"{before} fork@40 [algorithm.batch_size=8]"
    assert tags["blueprint"] == "tiny" and tags["variants"] is None
