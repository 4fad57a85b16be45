"""``composer show --paths``: the paths that selectors match, also of a blueprint whose selectors are wrong."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from composer.blueprint import load
from composer.blueprint.syntax.extends import find_blueprint
from composer.cli import app
from composer.networks.parameter_selectors import Paths

WRONG = """\
extends = "quickstart"
penalties.p = { kind = "l2", where = ["critic.layers.*"], coefficient = 1e-4 }
[interventions.reset]
when = { kind = "evry", interval = 100 }
where = ["crtic.*"]
do = { kind = "lerp" }
"""


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``composer show``."""
    found = CliRunner().invoke(app, ["show", *arguments, "--paths"])
    assert found.exception is None or isinstance(found.exception, SystemExit)
    return found.exit_code, found.stdout, found.stderr


def test_every_path_is_one_that_a_selector_matches() -> None:
    code, out, _ = run("quickstart", "networks.critic.copies=2", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["problems"] == []
    outlines = load(find_blueprint(Path("quickstart")), ["networks.critic.copies=2"]).blueprint.trained_outlines
    found = {each["path"]: each for each in answer["paths"]}
    assert {path.partition(".")[0] for path in found} == set(outlines)
    weight = found["critic.head.linear.weight"]
    assert (weight["shape"], weight["copies"], weight["count"], weight["trainable"]) == ([1, 64], 2, 128, True)
    assert {".".join(each) for each in Paths(globs=("*",)).select(outlines)} == found.keys()
    assert found["temperature.value"]["shape"] == []


def test_what_is_wrong_elsewhere_hides_no_network(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_text(WRONG)
    code, out, err = run(str(path))
    assert code == 0
    assert "critic.head.linear.weight" in out and "actor.*" in out
    assert "no trigger named 'evry'" in err
    # One network of two cannot be built: the other one is listed.
    code, out, err = run("quickstart", "networks.critic.trunk={ kind = 'lnear' }")
    assert code == 0 and "actor.head." in out and "critic." not in out and "no block named 'lnear'" in err
    code, out, _ = run("quickstart", "algorithm.kind=sca", "--json")
    assert code == 2 and json.loads(out)["problems"][0]["path"] == "algorithm.kind"
    assert run(str(tmp_path / "absent.toml"))[0] == 2
