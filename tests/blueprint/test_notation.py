"""How an experiment is written: file, variants, overrides; in every command alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import composer
from composer.blueprint import BlueprintError
from composer.blueprint.syntax.notation import Experiment, combination, experiment, experiments, names_in, selection
from composer.cli import app

SHIPPED = "dmc/sac_simba"
BOTH = f"{SHIPPED}@small+clipped"


def invoke(*words: object, code: int = 0) -> tuple[str, str]:
    """Standard output and standard error of a command."""
    found = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert found.exit_code == code, found.output
    return found.stdout, found.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mine.toml", ("mine.toml", None)),
        ("mine.toml@small", ("mine.toml", "small")),
        ("mine.toml@small+clipped", ("mine.toml", "small+clipped")),
        ("a@b.toml", ("a@b.toml", None)),
        ("a@b.toml@wide", ("a@b.toml", "wide")),
        ("a+b.toml", ("a+b.toml", None)),
        ("a+b.toml@c+d", ("a+b.toml", "c+d")),
        ("plain@name", ("plain@name", None)),
        ("plain@name@v", ("plain@name", "v")),
        ("absent@name.toml", ("absent@name.toml", None)),
        ("mine.toml@", ("mine.toml", "")),
        ("mine.toml@small+", ("mine.toml", "small+")),
    ],
)
def test_a_file_and_its_variants(
    text: str, expected: tuple[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a@b.toml", "a+b.toml", "plain@name"):
        Path(name).touch()
    found = experiment(text)
    assert (str(found.path), found.variant) == expected


def test_variants_behind_the_file_come_before_those_of_the_option() -> None:
    assert experiment("x.toml@a", (), ["b", "c+d"]).variant == "a+b+c+d"
    assert (combination([]), combination(["a", "b"])) == (None, "a+b")
    assert [names_in(each) for each in (None, "a+b", ["a", "b"])] == [(), ("a+b",), ("a", "b")]


def test_overrides_belong_to_the_blueprint_before_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lr=3.toml").touch()
    found = experiments(["x.toml", "seeds=[1]", "~averages", "lr=3.toml", "y.toml@v"])
    assert found == [
        Experiment(Path("x.toml"), ("seeds=[1]", "~averages")),
        Experiment(Path("lr=3.toml")),
        Experiment(Path("y.toml"), (), "v"),
    ]
    with pytest.raises(BlueprintError, match=r'expected a blueprint before the override "seeds=\[1\]"'):
        experiments(["seeds=[1]", "x.toml"])


def test_combinations_are_listed_or_chosen_but_not_both() -> None:
    path = experiment("quickstart").path
    assert selection("quickstart", ["a=1"]) == (path, ("a=1",), [])
    assert selection("quickstart@a+b") == (path, (), ["a+b"])
    assert selection("quickstart", (), (), "base,a, a+b") == (path, (), ["base", "a", "a+b"])
    with pytest.raises(BlueprintError, match='variants are chosen twice: "a" and the list "b"'):
        selection("quickstart@a", (), (), "b")


def test_python_takes_the_same_notation() -> None:
    both = composer.load(BOTH)
    assert both.networks["critic"].copies == 2
    assert both == composer.load(SHIPPED, variant="small+clipped") == composer.load(SHIPPED, (), ["small", "clipped"])
    assert both == composer.load(f"{SHIPPED}@small", variant="clipped")
    assert both not in [composer.load(SHIPPED, variant=each) for each in (None, "small", "clipped")]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("@", "the name of a variant is missing; write FILE@NAME or FILE@NAME+NAME"),
        ("@small+", 'the name of a variant is missing in "small+"; write'),
        ("@+small", 'the name of a variant is missing in "+small"; write'),
        ("@small++clipped", 'the name of a variant is missing in "small++clipped"; write'),
        ("@small+small", "variant 'small' is named twice"),
        ("@smal", "no variant named 'smal'; did you mean 'small'?"),
        ("@base", "no variant named 'base'; one of "),
    ],
)
@pytest.mark.parametrize("command", ["check", "show", "lint", "simplicity", "plan", "sweep", "bench", "train", "eject"])
def test_what_no_combination_is_is_said_in_words(command: str, end: str, said: str) -> None:
    if command in ("plan", "sweep") and end == "@base":
        return
    output, errors = invoke(command, f"{SHIPPED}{end}", code=2)
    assert said in output + errors
    assert "Traceback" not in output + errors


def test_all_bad_names_are_told_at_once() -> None:
    _, errors = invoke("show", f"{SHIPPED}@smal+small+cliped", "--variant", "raw_observation", code=2)
    meant = ["'cliped'; did you mean 'clipped'?", "'raw_observation'; did you mean", "'smal'; did you mean 'small'?"]
    assert [any(f"no variant named {each}" in line for line in errors.splitlines()) for each in meant] == [True] * 3


def shown(*words: str) -> dict[str, object]:
    table: dict[str, object] = json.loads(invoke("show", *words, "--json")[0])
    return table


def test_variants_combine_in_every_command(tmp_path: Path) -> None:
    """The fault: of ``--variant small --variant clipped`` the first was dropped, and the full-size agent trained."""
    both = shown(BOTH)
    alone = [shown(f"{SHIPPED}@{name}")["hash"] for name in ("small", "clipped")]
    assert both["hash"] not in alone
    assert shown(SHIPPED, "--variant", "small", "--variant", "clipped")["hash"] == both["hash"]
    assert shown(f"{SHIPPED}@small", "--variant", "clipped")["hash"] == both["hash"]
    invoke("check", BOTH)
    table = json.loads(invoke("diff", SHIPPED, BOTH, "--json")[0])
    changed = {row["key"]: row["right"] for row in table["differences"]}
    assert (changed["networks.critic.copies"], changed["networks.critic.trunk.layers[0].width"]) == (2, 128)
    told = json.loads(invoke("explain", BOTH, "networks.critic.copies", "--json")[0])
    assert told["settings"][-1]["layer"] == "variant clipped"
    planned = json.loads(invoke("plan", BOTH, "--runs", tmp_path, "--json")[0])
    assert [row["variant"] for row in planned["variants"]] == ["small+clipped"]
    listed = json.loads(invoke("plan", SHIPPED, "--variants", "base,small+clipped", "--runs", tmp_path, "--json")[0])
    assert [row["variant"] for row in listed["variants"]] == ["base", "small+clipped"]
    ejected, _ = invoke("eject", BOTH)
    assert ejected != invoke("eject", f"{SHIPPED}@clipped")[0]


def test_commands_on_several_blueprints_take_overrides_of_each() -> None:
    table = json.loads(invoke("diff", "quickstart", "seeds=[1]", "quickstart", "seeds=[2]", "--json")[0])
    assert table["differences"] == [{"key": "seeds[0]", "left": 1, "right": 2}]
    output, _ = invoke("check", "quickstart", "seeds=[0, 0]", SHIPPED, code=2)
    assert output.startswith("command line:1:") and output.count("\n") == 1
    assert "two blueprints, got 1" in invoke("diff", SHIPPED, code=2)[1]
    advice = json.loads(invoke("lint", BOTH, "--json")[0])["advice"]
    assert {one["variant"] for one in advice} == {"small+clipped"}


@pytest.mark.parametrize(
    "words",
    [
        ("train", "quickstart", "--seeds", "0,1", "--seeds", "2"),
        ("train", SHIPPED, "--together", "base,small", "--together", "base,clipped"),
        ("plan", SHIPPED, "--variants", "small", "--variants", "clipped"),
        ("sweep", SHIPPED, "--jobs", "2", "--variants=small", "--variants=clipped"),
        ("show", "quickstart", "--diagram", "a.svg", "--diagram", "b.svg"),
        ("bench", "quickstart", "--seconds", "1", "seeds=[1]", "--seconds", "2"),
    ],
)
def test_an_option_that_takes_one_value_is_not_dropped(words: tuple[str, ...]) -> None:
    """The sibling of the dropped variant: of two values the first vanished."""
    option = next(word for word in words[::-1] if word.startswith("--")).partition("=")[0]
    output, errors = invoke(*words, "--json", code=2)
    message = f"{option} is given 2 times; it takes one value"
    assert errors == f"{message}\n"
    assert json.loads(output) == {"status": "failed", "exit_code": 2, "message": message}


def test_options_that_collect_and_flags_may_be_repeated() -> None:
    assert json.loads(invoke("check", "quickstart", "--json", "--json")[0])["ok"]
    assert json.loads(invoke("show", SHIPPED, "--variant", "small", "--variant", "clipped", "--json")[0])
