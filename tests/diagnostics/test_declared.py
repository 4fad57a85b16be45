"""How diagnostics are declared: sound examples, nothing by default, and mistakes told before a run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from looking import DIAGNOSTICS
from tiny_runs import DRIFT, tiny

from composer.blueprint import BlueprintError, dump
from composer.blueprint.forecast.timeline import timeline
from composer.diagnostics import Diagnostic, Diagnostics


@pytest.mark.parametrize("kind", sorted(Diagnostic.kinds()))
def test_examples_are_sound_and_come_back(kind: str) -> None:
    member = Diagnostic.kinds()[kind]
    assert member.example["kind"] == kind
    assert member.summary()
    measure = DIAGNOSTICS.validate_python(member.example)
    assert DIAGNOSTICS.validate_python(DIAGNOSTICS.dump_python(measure)) == measure
    assert DIAGNOSTICS.validate_python(json.loads(DIAGNOSTICS.dump_json(measure))) == measure
    assert all(name == name.lower().replace(" ", "_") for name in measure.names())


def test_nothing_is_measured_by_default() -> None:
    assert tiny().diagnostics == Diagnostics()
    assert Diagnostics().measures == ()


def test_a_measure_keeps_its_own_interval() -> None:
    found = tiny('diagnostics={ every = 500, measures = [{ kind = "rank" }, { kind = "feature_norm", every = 7 }, '
                 '{ kind = "trainability" }] }').diagnostics  # fmt: skip
    assert [found.every_of(measure) for measure in found.measures] == [500, 7, 100_000]


def test_the_timeline_tells_when_readings_come() -> None:
    blueprint = tiny('diagnostics={ every = 500, measures = [{ kind = "rank" }, { kind = "dormant", every = 900 }] }')
    found = {moment.key: moment for moment in timeline(blueprint) if moment.key.startswith("diagnostics")}
    assert {key: (moment.env_step, moment.count) for key, moment in found.items()} == {
        "diagnostics.measures[0]": (504, 3),  # 504, 1,000 and the end at 1,200, eight steps at a time.
        "diagnostics.measures[1]": (904, 2),
    }


MISTAKES = [
    ('{ kind = "dormnat" }', "measures[0].kind", "no diagnostic named 'dormnat'; did you mean 'dormant'?"),
    ('{ kind = "rank", roles = ["critc"] }', "measures[0].roles[0]",
     "no network named 'critc'; did you mean 'critic'?"),
    ('{ kind = "rank" }, { kind = "dormant" }, { kind = "rank", roles = ["critic"], delta = 0.1 }', "measures[2]",
     "critic/srank is reported by measures[0] already"),
    ('{ kind = "policy_churn", roles = ["actor"] }', "measures[0].roles",
     "the policy is what acts, not a network: leave 'roles' out"),
    ('{ kind = "dead_units", roles = ["critic"] }', "measures[0].kind",
     "no activation block, and so no hidden unit, in 'critic'"),
    ('{ kind = "dormant", tau = 2.0 }', "measures[0].tau", None),
    ('{ kind = "rank", every = 0 }', "measures[0].every", None),
]  # fmt: skip
LINEAR = 'networks.critic.trunk=[{ kind = "linear", width = 8 }]'


@pytest.mark.parametrize(("measures", "path", "message"), MISTAKES)
def test_mistakes_are_told_at_their_place(measures: str, path: str, message: str | None) -> None:
    with pytest.raises(BlueprintError) as error:
        tiny(DRIFT, LINEAR, f"diagnostics.measures=[{measures}]")
    (problem,) = error.value.problems
    assert problem.path == f"diagnostics.{path}"
    if message is not None:
        told = problem.message.partition(" (override")[0]
        assert told + (f"; {problem.hint}" if problem.hint else "") == message


def test_two_thresholds_are_two_metrics() -> None:
    both = '[{ kind = "dormant" }, { kind = "dormant", tau = 0.025 }]'
    assert len(tiny(DRIFT, f"diagnostics.measures={both}").diagnostics.measures) == 2


def test_a_network_without_hidden_units_is_left_out_beside_one_that_has_some() -> None:
    assert tiny(DRIFT, LINEAR, 'diagnostics.measures=[{ kind = "dormant" }]').diagnostics.measures


def test_a_resolved_blueprint_says_what_is_measured() -> None:
    text = dump(tiny('diagnostics.measures=[{ kind = "curvature" }]'))
    assert 'kind = "curvature"' in text and "iterations = 20" in text


def test_declaring_needs_no_torch() -> None:
    code = (
        "import sys; from pydantic import TypeAdapter; from composer.diagnostics import Diagnostic; "
        "[TypeAdapter(Diagnostic).validate_python(kind.example) for kind in Diagnostic.kinds().values()]; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'scipy', 'mlflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
