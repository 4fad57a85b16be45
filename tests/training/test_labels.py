"""Names and tags of runs: kept in ``run.json`` and sent to the store; nothing else of the run depends on them."""

import json
from pathlib import Path

import pytest
from tiny_runs import DRIFT, tiny

from composer import api
from composer.training.assemble.start_upload import describe
from composer.training.runs.directory import read_blueprint, read_facts
from composer.training.runs.labels import LabelError, labels, tags_in

SHORT = (DRIFT, "training.env_steps=40", "evaluation.every=40", "checkpoint.every=40")


def test_a_run_has_its_name_and_its_tags_and_is_otherwise_the_same(tmp_path: Path) -> None:
    plain = api.train(tiny(*SHORT), tmp_path / "a")
    named = api.train(tiny(*SHORT), tmp_path / "b", name="first-try", tags={"why": "a = b", "batch of": "june"})
    assert named.path.name.startswith("first-try-2")
    facts = read_facts(named.path)
    assert facts["tags"] == {"why": "a = b", "batch of": "june"}
    assert (facts["agent"], facts["hash"]) == (read_facts(plain.path)["agent"], read_facts(plain.path)["hash"])
    assert "tags" not in json.loads((plain.path / "run.json").read_text())
    tags = describe(read_blueprint(named.path), facts, named.path.parent).tags
    assert tags["why"] == "a = b" and tags["agent"] == facts["agent"]


@pytest.mark.parametrize(
    ("name", "tags", "message"),
    [
        ("../up", {}, "a name has letters"),
        ("-rf", {}, "a name has letters"),
        (None, {"mlflow.note.content": "x"}, "composer sets this tag itself"),
        (None, {"seed": "x"}, "composer sets this tag itself"),
        (None, {"": "x"}, "a key has letters"),
        (None, {"a:b": "x"}, "a key has letters"),
        (None, {"a": "x" * 5_001}, "its value has 5,001 characters"),
    ],
)
def test_names_and_tags_that_cannot_be_are_refused(name: str | None, tags: dict[str, str], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        labels(name, tags)


@pytest.mark.parametrize(("texts", "message"), [(["alone"], "expected KEY=VALUE"), (["a=1", "a=2"], "given twice")])
def test_tags_are_written_as_pairs(texts: list[str], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        tags_in(texts)
