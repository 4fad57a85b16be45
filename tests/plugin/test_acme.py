"""A plug-in that is installed for real: every command knows it, a blueprint that requires it trains, others do not."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from wheels import environment

COMMAND = [sys.executable, "-c", "from composer.cli import main; main()"]


def composer(*arguments: object, sites: tuple[Path, ...] = (), code: int = 0) -> tuple[str, str]:
    """Run the command line in a process that sees ``sites``: standard output, standard error."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], env=environment(*sites), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout, done.stderr


def test_a_blueprint_that_requires_it_trains_and_resumes(site: Path, waves: Path, tmp_path: Path) -> None:
    output, _ = composer("train", waves, "--runs", tmp_path / "runs", "--json", sites=(site,))
    trained = json.loads(output.splitlines()[-1])
    assert (trained["status"], trained["env_steps"], trained["updates"]) == ("finished", 400, 30)
    run = Path(trained["run"])
    table = json.loads((run / "parameters.json").read_text())
    assert table["actor"]["parameters"]["trunk.0.0.weight"] == {
        "shape": [8, 5], "initializer": "normal", "trainable": True,
    }  # fmt: skip
    assert json.loads((run / "run.json").read_text())["fingerprint"]["composer-acme"] == "0.1.0"
    output, _ = composer("evaluate", run, "--episodes", 1, "--json", sites=(site,))
    assert len(json.loads(output)["episodes"]) == 1


def test_every_reading_command_knows_what_it_brings(site: Path, waves: Path, tmp_path: Path) -> None:
    assert composer("check", waves, sites=(site,)) == ("", "1 blueprint in order\n")
    shown, _ = composer("show", waves, sites=(site,))
    assert "acme/periodic" in shown
    told, _ = composer("explain", waves, "networks.actor.trunk.width", sites=(site,))
    assert "16" in told
    listed, said = composer("parts", sites=(site,))
    lines = {line.split()[0]: line for line in listed.splitlines()}
    assert lines["acme/periodic_mlp"].endswith("a part of composer's own between them. [composer-acme]")
    assert lines["acme/softsign_gaussian"].split()[1] == "head"
    assert "[" not in lines["simba"].rpartition(".")[2]
    assert said == ""
    tables = json.loads(composer("parts", "--json", sites=(site,))[0])
    assert tables["problems"] == []
    assert [(kind["name"], kind["family"], kind["plugin"]) for kind in tables["kinds"]] == [
        ("acme/periodic", "block", "composer-acme"),
        ("acme/softsign_gaussian", "head", "composer-acme"),
    ]
    plugins = {table["name"]: table["plugin"] for table in tables["parts"]}
    assert (plugins["acme/periodic_block"], plugins["simba"]) == ("composer-acme", None)
    one, _ = composer("parts", "acme/periodic_block", sites=(site,))
    assert 'requires = ["composer-acme"]' in one
    assert "size: " in one
    kind, _ = composer("parts", "acme/periodic", sites=(site,))
    assert 'use: { kind = "acme/periodic", waves = 8 }' in kind
    schema = composer("schema", sites=(site,))[0]
    assert '"const": "acme/periodic"' in schema
    assert '"const": "acme/periodic_mlp"' in schema
    part = tmp_path / "mine.toml"
    header = 'part = 1\nfamily = "block"\ndescription = "d"\nsource = "s"\n'
    part.write_text(header + '[block]\nkind = "acme/periodic"\nwaves = 0\n')
    told, _ = composer("check", part, sites=(site,), code=2)
    assert told == f"{part}:7:9: block.waves: must be at least 1 and at most 4,096, got 0\n"


def test_ejected_networks_hold_its_modules(site: Path, waves: Path) -> None:
    text, _ = composer("eject", waves, sites=(site,))
    assert "class Periodic(nn.Module):" in text
    assert "acme" not in text.partition('"""')[2].partition("import")[2]
    namespace: dict[str, Any] = {"__name__": "ejected"}
    exec(compile(text, "ejected.py", "exec"), namespace)
    assert dict(namespace["critic"]().named_parameters())["trunk.0.weight"].shape == (4, 5)


def test_without_it_the_blueprint_says_what_to_install(waves: Path) -> None:
    told, _ = composer("check", waves, code=2)
    message = "the plug-in 'composer-acme' is not installed; pip install composer-acme"
    assert told == f"{waves}:3:13: requires[0]: {message}\n"


SCRIPT = """
import sys
from composer.blueprint import check, dump, load, loads_resolved
from composer.blueprint.json_schema import schema_json

needs, forgets = sys.argv[1:]
before = [str(problem).partition(": ")[2] for problem in check(forgets)]
blueprint = load(needs).blueprint
assert load(needs).blueprint == blueprint == loads_resolved(load(needs).resolved)
# What is registered by now changes nothing for a blueprint that does not require it.
after = [str(problem).partition(": ")[2] for problem in check(forgets)]
assert after == before, (before, after)
assert "acme/periodic" in str(schema_json()) and "torch" not in sys.modules
print(*after, sep="\\n")
"""


def test_what_one_blueprint_requires_helps_no_other(site: Path, waves: Path, tmp_path: Path) -> None:
    forgets = tmp_path / "forgets.toml"
    forgets.write_text(waves.read_text().replace('requires = ["composer-acme"]', ""))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(waves), str(forgets)],
        env=environment(site), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    belongs = "belongs to the plug-in 'composer-acme'; write requires = [\"composer-acme\"]"
    assert done.stdout.splitlines() == [
        f"networks.actor.trunk.use: 'acme/periodic_mlp' {belongs}",
        f"networks.actor.head.kind: 'acme/softsign_gaussian' {belongs}",
        f"networks.critic.trunk[0].kind: 'acme/periodic' {belongs}",
    ]


def test_what_is_wrong_is_told_in_its_names(site: Path, waves: Path) -> None:
    cases: list[dict[str, str]] = tomllib.loads(Path(__file__).with_name("messages.toml").read_text())["case"]
    files = []
    for number, case in enumerate(cases):
        assert waves.read_text().count(case["old"]) == 1
        files.append(waves.with_name(f"{number}.toml"))
        files[-1].write_text(waves.read_text().replace(case["old"], case["new"]))
    problems = json.loads(composer("check", *files, "--json", sites=(site,), code=2)[0])["problems"]
    for case, file in zip(cases, files, strict=True):
        first = next(problem for problem in problems if problem["file"] == str(file))
        hint = f"; {first['hint']}" if first["hint"] else ""
        assert f"{first['line']}:{first['column']}: {first['path']}: {first['message']}{hint}" == case["said"]
