"""What a TAB offers, asked as bash asks: blueprints, variants, keys, values, runs, kinds, and words of options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from composer.cli import app, main
from composer.cli.completion import vocabulary as words

COMMANDS = typer.main.get_command(app)
Offers = Callable[[str], list[str]]
SCHEMA = {
    "properties": {
        "blueprint": {},
        "algorithm": {"$ref": "#/$defs/algorithm"},
        "networks": {"type": "object", "patternProperties": {".*": {"anyOf": [{"$ref": "#/$defs/Network"}]}}},
        "training": {"anyOf": [{"$ref": "#/$defs/Training"}, {"$ref": "#/$defs/reference"}]},
    },
    "$defs": {
        "algorithm": {
            "anyOf": [
                {"type": "object", "properties": {"kind": {"const": "sac"}, "batch_size": {"default": 256}}},
                {"type": "object", "properties": {"kind": {"const": "dqn"}, "epsilon": {"default": 0.1}}},
            ]
        },
        "Network": {"type": "object", "properties": {"trunk": {"anyOf": [{"items": {"$ref": "#/$defs/block"}}]}}},
        "block": {"type": "object", "properties": {"kind": {"const": "linear"}, "width": {"default": 8}}},
        "Training": {
            "type": "object",
            "properties": {
                "env_steps": {},
                "mode": {"enum": ["fast", "exact"]},
                "log": {"default": 5},
            },
        },
        "reference": {"type": "string"},
    },
}
FILE = """
blueprint = 1
[algorithm]
kind = "sac"
[networks.critic]
trunk = [{ kind = "linear", width = 4 }]
[training]
env_steps = 1_000
[variants.small.training]
env_steps = 10
[variants.wide.algorithm]
kind = "dqn"
"""


@pytest.fixture
def offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Offers:
    """What is offered for the last word of a line, asked in this process, in a folder with a blueprint and a run."""
    found: words.Vocabulary = {
        "stamp": "", "schema": SCHEMA, "names": ["blocks", "residual"], "algorithms": ["sac", "dqn"],
        "environments": ["walker-walk", "pong"], "parts": ["simba"],
    }  # fmt: skip
    monkeypatch.setattr("composer.cli.completion.arguments.vocabulary", lambda: found)
    monkeypatch.setattr("composer.cli.app", COMMANDS)
    monkeypatch.setattr("composer.cli.print_in_any_locale", lambda: None)
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(FILE)
    Path("child.toml").write_text('extends = "my.toml"\nname = "child"\n[variants.own]\n')
    Path("pyproject.toml").write_text("[project]\n")
    Path("plan.toml").write_text('study = 1\nname = "plan"\n')
    for folder in ("runs/sac-1", "runs/sac-2", "runs/nothing", "deep/more"):
        Path(folder).mkdir(parents=True)
    for run in ("runs/sac-1", "runs/sac-2"):
        Path(run, "run.json").write_text("{}")
        Path(run, "blueprint.toml").write_text(FILE)
    Path("deep/more/there.toml").write_text('extends = "quickstart"\n')

    def ask(line: str) -> list[str]:
        pieces = line.split(" ")
        monkeypatch.setenv("COMP_WORDS", "\n".join(["composer", *pieces]))
        monkeypatch.setenv("COMP_CWORD", str(len(pieces)))
        monkeypatch.setenv("_COMPOSER_COMPLETE", "complete_bash")
        monkeypatch.setattr("sys.argv", ["composer"])
        with pytest.raises(SystemExit):
            main()
        output, said = capsys.readouterr()
        assert said == ""
        return output.split()

    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tra", ["train"]),
        ("study st", ["status"]),
        ("train quicks", ["quickstart"]),
        ("train my.", ["my.toml"]),
        ("train mi", ["minatar/dqn", "minatar/pqn"]),
        ("train plasticity/p", ["plasticity/permuted_inputs"]),
        ("train de", ["deep/more/there.toml"]),
        ("train my.toml@", ["my.toml@small", "my.toml@wide"]),
        ("train my.toml@small+", ["my.toml@small+wide"]),
        ("train child.toml@", ["child.toml@own"]),
        ("train my.toml tr", ["training.env_steps=", "training.mode=", "training.log="]),
        ("train my.toml training.e", ["training.env_steps=", "training.env_steps=1000"]),
        ("train my.toml@small training.env_steps=", ["training.env_steps=10"]),
        ("train my.toml --variant small training.env_steps=", ["training.env_steps=10"]),
        ("train child.toml training.env_steps=", ["training.env_steps=1000"]),
        ("train my.toml training.mode=", ["training.mode=fast", "training.mode=exact"]),
        ("train my.toml training.log=", ["training.log=5"]),
        ("train my.toml algorithm.", ["algorithm.kind=", "algorithm.batch_size="]),
        ("train my.toml@wide algorithm.", ["algorithm.kind=", "algorithm.epsilon="]),
        ("train my.toml algorithm.kind=", ["algorithm.kind=sac", "algorithm.kind=dqn"]),
        (
            "train my.toml networks.critic.trunk[0].w",
            ["networks.critic.trunk[0].width=", "networks.critic.trunk[0].width=4"],
        ),
        ("train my.toml networks.critic.", ["networks.critic.trunk="]),
        ("train my.toml ~net", ["~networks", "~networks.critic", "~networks.critic.trunk"]),
        ("train my.toml b", []),
        ("explain my.toml al", ["algorithm", "algorithm.kind", "algorithm.batch_size"]),
        ("diff my.toml training.log=3 chi", ["child.toml"]),
        ("diff my.toml child.toml training.m", ["training.mode=", "training.mode=fast", "training.mode=exact"]),
        ("sweep my.toml --variants base,", ["base,small", "base,wide"]),
        ("train --device c", ["cpu", "cuda"]),
        ("resume ", ["deep/", "runs/", "runs/sac-1", "runs/sac-2"]),
        ("resume runs/sac", ["runs/sac-1", "runs/sac-2"]),
        ("fork runs/sac-1 training.l", ["training.log=", "training.log=5"]),
        ("study run p", ["plan.toml"]),
        ("study run studies/sim", ["studies/simba_everywhere", "studies/simba_everywhere_ppo", "studies/simba_ladder"]),
        ("kinds r", ["residual"]),
        ("new s", ["sac"]),
        ("new sac w", ["walker-walk"]),
        ("parts s", ["simba"]),
        ("train nothing.toml@", []),
        ("export runs/sac-1 --checkpoint b", ["best"]),
    ],
)
def test_words(offers: Offers, line: str, offered: list[str]) -> None:
    assert offers(line) == offered


def test_a_failure_offers_nothing(offers: Offers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("composer.cli.completion.arguments.vocabulary", lambda: 1 / 0)
    assert offers("kinds r") == []


@pytest.mark.parametrize(
    ("pieces", "offered"),
    [
        (["train", "my.toml", "@"], ["@small", "@wide"]),
        (["train", "my.toml", "@", "sm"], ["@small"]),
        (["train", "my.toml", "@", "small+"], ["@small+wide"]),
        (["train", "my.toml", "training.mode", "="], ["fast", "exact"]),
        (["train", "my.toml", "training.mode", "=", "f"], ["fast"]),
        (["train", "my.toml", "seeds", "=", "1", "training.mode", "=", "f"], ["fast"]),
        (["train", "--device", "=", "c"], ["cpu", "cuda"]),
    ],
)
def test_bash_takes_words_apart(offers: Offers, pieces: list[str], offered: list[str]) -> None:
    assert offers(" ".join(pieces)) == offered
