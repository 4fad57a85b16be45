"""A plug-in that is installed for real: every command knows it, a blueprint that requires it trains, others do not."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from wheels import environment

SCRIPT = """
import json, sys
from typer.testing import CliRunner
from composer.cli import app

done = [CliRunner().invoke(app, arguments) for arguments in json.loads(sys.argv[1])]
assert "torch" not in sys.modules or sys.argv[2] == "True"
print(json.dumps([(result.exit_code, result.stdout, result.stderr) for result in done]))
"""


def composer(*commands: list[object], sites: tuple[Path, ...] = (), torch: bool = False) -> list[tuple[int, str, str]]:
    """Exit code, standard output and standard error of commands, all in one process that sees ``sites``."""
    lines = json.dumps([[*map(str, arguments)] for arguments in commands])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, lines, str(torch)],
        env=environment(*sites), capture_output=True, text=True, timeout=3_600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: list[tuple[int, str, str]] = [(code, out, err) for code, out, err in json.loads(done.stdout)]
    return answers


@pytest.mark.slow
def test_a_blueprint_that_requires_it_trains_and_is_evaluated(site: Path, waves: Path, tmp_path: Path) -> None:
    """Alone trains and evaluates, by the commands, a blueprint made of a plug-in's kinds."""
    train = ["train", waves, "--runs", tmp_path / "runs", "--json"]
    ((code, output, said),) = composer(train, sites=(site,), torch=True)
    assert code == 0, said
    trained = json.loads(output.splitlines()[-1])
    assert (trained["status"], trained["env_steps"], trained["updates"]) == ("finished", 400, 30)
    run = Path(trained["run"])
    table = json.loads((run / "parameters.json").read_text())
    assert table["actor"]["parameters"]["trunk.0.0.weight"] == {
        "shape": [8, 5], "initializer": "normal", "trainable": True,
    }  # fmt: skip
    assert json.loads((run / "run.json").read_text())["fingerprint"]["composer-acme"] == "0.1.0"
    ((code, output, _),) = composer(["evaluate", run, "--episodes", 1, "--json"], sites=(site,), torch=True)
    assert (code, len(json.loads(output)["episodes"])) == (0, 1)


def test_every_reading_command_knows_what_it_brings(site: Path, waves: Path, tmp_path: Path) -> None:
    part = tmp_path / "mine.toml"
    header = 'part = 1\nfamily = "block"\ndescription = "d"\nsource = "s"\n'
    part.write_text(header + '[block]\nkind = "acme/periodic"\nwaves = 0\n')
    checked, shown, reported, listed, tables, one, kind, schema, spoilt = composer(
        ["check", waves],
        ["show", waves],
        ["explain", waves, "networks.actor.trunk.width"],
        ["parts"],
        ["parts", "--json"],
        ["parts", "acme/periodic_block"],
        ["parts", "acme/periodic"],
        ["schema"],
        ["check", part],
        sites=(site,),
    )
    assert checked == (0, "", "1 blueprint in order\n")
    assert "acme/periodic" in shown[1]
    assert "16" in reported[1]
    lines = {line.split()[0]: line for line in listed[1].splitlines()}
    assert lines["acme/periodic_mlp"].endswith("a part of composer's own between them. [composer-acme]")
    assert lines["acme/softsign_gaussian"].split()[1] == "head"
    assert not lines["simba"].endswith("]")
    assert listed[2] == ""
    answer = json.loads(tables[1])
    assert answer["problems"] == []
    assert [(kind["name"], kind["family"], kind["plugin"]) for kind in answer["kinds"]] == [
        ("acme/absolute_norm", "block", "composer-acme"),
        ("acme/bounded_targets", "algorithm", "composer-acme"),
        ("acme/ntk_linear", "block", "composer-acme"),
        ("acme/periodic", "block", "composer-acme"),
        ("acme/slider", "environment", "composer-acme"),
        ("acme/softsign_gaussian", "head", "composer-acme"),
    ]
    plugins = {table["name"]: table["plugin"] for table in answer["parts"]}
    assert (plugins["acme/periodic_block"], plugins["simba"]) == ("composer-acme", None)
    assert 'requires = ["composer-acme"]' in one[1]
    assert "size: " in one[1]
    assert 'use: { kind = "acme/periodic", waves = 8 }' in kind[1]
    assert '"const": "acme/periodic"' in schema[1]
    assert '"const": "acme/periodic_mlp"' in schema[1]
    assert spoilt[1].startswith(f"{part}:7:9: block.waves: must be ")


def test_ejected_networks_hold_its_modules(site: Path, waves: Path) -> None:
    ((code, text, said),) = composer(["eject", waves], sites=(site,))
    assert code == 0, said
    assert "class Periodic(nn.Module):" in text
    assert "import composer" not in text
    namespace: dict[str, Any] = {"__name__": "ejected"}
    exec(compile(text, "ejected.py", "exec"), namespace)
    assert dict(namespace["critic"]().named_parameters())["trunk.0.weight"].shape == (4, 6)


def test_without_it_the_blueprint_says_what_to_install(waves: Path) -> None:
    (reported,) = composer(["check", waves])
    message = "the plug-in 'composer-acme' is not installed; pip install composer-acme"
    assert reported == (2, f"{waves}:3:13: requires[0]: {message}\n", "")


TWO_IN_ONE_PROCESS = """
import sys
import composer
from composer.blueprint import check, dump, load, loads_resolved
from composer.blueprint.inspect.json_schema import schema_json

needs, forgets = sys.argv[1:]
before = [str(problem).partition(": ")[2] for problem in check(forgets)]
blueprint = load(needs).blueprint
assert load(needs).blueprint == blueprint == loads_resolved(load(needs).resolved)
# What is registered by now changes nothing for a blueprint that does not require it.
after = [str(problem).partition(": ")[2] for problem in check(forgets)]
assert after == before, (before, after)
assert "acme/periodic" in str(schema_json())

# From Python a part's plug-in is loaded; a blueprint requires it here as anywhere.
assert composer.part("acme/periodic_mlp", width=16) == blueprint.networks["actor"].trunk
table = {name: getattr(blueprint, name) for name in type(blueprint).model_fields}
assert composer.compose(**table) == blueprint
try:
    composer.compose(**{**table, "requires": ()})
except composer.BlueprintError as error:
    assert "write requires = [\\"composer-acme\\"]" in str(error)
else:
    raise AssertionError("nothing was required")
assert "torch" not in sys.modules
print(*after, sep="\\n")
"""


def test_what_one_blueprint_requires_helps_no_other(site: Path, waves: Path, tmp_path: Path) -> None:
    forgets = tmp_path / "forgets.toml"
    forgets.write_text(waves.read_text().replace('requires = ["composer-acme"]', ""))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", TWO_IN_ONE_PROCESS, str(waves), str(forgets)],
        env=environment(site), capture_output=True, text=True, timeout=3_600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    belongs = "belongs to the plug-in 'composer-acme'; write requires = [\"composer-acme\"]"
    assert done.stdout.splitlines() == [
        f"networks.actor.trunk.use: 'acme/periodic_mlp' {belongs}",
        f"networks.actor.head.kind: 'acme/softsign_gaussian' {belongs}",
        f"networks.critic.trunk[0].kind: 'acme/periodic' {belongs}",
    ]


def test_what_is_wrong_is_reported_in_its_names(site: Path, waves: Path) -> None:
    cases: list[dict[str, str]] = tomllib.loads(Path(__file__).with_name("messages.toml").read_text())["case"]
    files = []
    for number, case in enumerate(cases):
        assert waves.read_text().count(case["old"]) == 1
        files.append(waves.with_name(f"{number}.toml"))
        files[-1].write_text(waves.read_text().replace(case["old"], case["new"]))
    ((_, output, _),) = composer(["check", *files, "--json"], sites=(site,))
    problems = json.loads(output)["problems"]
    for case, file in zip(cases, files, strict=True):
        first = next(problem for problem in problems if problem["file"] == str(file))
        hint = f"; {first['hint']}" if first["hint"] else ""
        reported = f"{first['line']}:{first['column']}: {first['path']}: {first['message']}{hint}"
        assert reported.partition("; one of")[0] == case["said"]


WIDE = """trunk = [
    { kind = "acme/ntk_linear", width = 12 }, { kind = "acme/absolute_norm" }, { kind = "relu" },
    { kind = "acme/ntk_linear", width = 8 }, { kind = "acme/absolute_norm" }, { kind = "tanh" },
]"""
ON_UNITS = """
[interventions.redo]
when = { kind = "at", steps = [1] }
where = ["critic.*"]
do = { kind = "recycle", tau = 0.0, batch = 32 }

[interventions.replace]
when = { kind = "at", steps = [2] }
where = ["critic.*"]
do = { kind = "replace_units", rate = 0.1, maturity = 0, batch = 32 }
"""
INJECTED = """
[interventions.inject]
when = { kind = "at", steps = [1] }
where = ["critic.trunk.3.*", "critic.trunk.4.*", "critic.head.*"]
do = { kind = "inject" }
target = "follow"
"""


@pytest.mark.slow
def test_everything_about_units_knows_its_layer_and_its_norm(site: Path, waves: Path, tmp_path: Path) -> None:
    """Recycling, replacing, injection, the doctor's site, lint and figures go by what kinds say of themselves."""
    narrow = 'trunk = [{ kind = "acme/periodic", waves = 4 }, { kind = "linear", width = 16 }, { kind = "relu" }]'
    assert narrow in waves.read_text()
    text = waves.read_text().replace(narrow, WIDE)
    units, injected, figure = tmp_path / "units.toml", tmp_path / "injected.toml", tmp_path / "units.svg"
    units.write_text(text.replace("\n[averages]", ON_UNITS + "\n[averages]"))
    injected.write_text(text.replace("\n[averages]", INJECTED + "\n[averages]"))
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("acme_units.py"), units, injected, figure],
        env=environment(site), capture_output=True, text=True, timeout=3_600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    drawn = figure.read_text()
    assert "Absolute norm" in drawn and "Ntk linear" in drawn
    ((code, shown, said),) = composer(["show", units], sites=(site,))
    assert code == 0, said
    assert "acme/absolute_norm" in shown and "acme/ntk_linear" in shown and "recycle" in shown
