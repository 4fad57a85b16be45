"""A problem that an override, a variant or a child causes names that line, and where the inherited value stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from composer.blueprint import BlueprintError, check, load

ROLLOUTS = """\
extends = "classic/cartpole_ppo"
[variants.many]
algorithm.epochs = 3
environment.copies = 16
[variants.more]
with = ["many"]
seeds = [3]
"""
BATCH = "128 interactions x 16 copies = 2,048 transitions in 4 minibatches are 512 each: write 512"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["algorithm.batch_size=0"],
            "command line:1:22: algorithm.batch_size: must be in 1 to 1,048,576, got 0"
            ' (override "algorithm.batch_size=0")'
            " (b.toml:14:14 has 32)",
        ),
        (
            ["seeds=[1]", "replay.capacity=8"],
            "b.toml:14:14: algorithm.batch_size: a batch of 32 exceeds the replay's 8 transitions (replay.capacity)"
            " (because of override 2: replay.capacity=8; b.toml:36:12 has 1000)",
        ),
        (
            ["networks.critic.head.kind=tanh_gaussian"],
            "b.toml:23:8: networks.critic.head: SAC's critic needs a head that gives 'value'..."
            ' (because of override 1: networks.critic.head.kind=tanh_gaussian; b.toml:23:17 has "scalar")',
        ),
        (
            ["optimizers.actor.kind=adam", "optimizers.actor.weight_decay=0.1"],
            "command line:2:1: optimizers.actor.weight_decay: unknown key; weight_decay belongs to adamw, kron, muon "
            "and upgd"
            ' (override "optimizers.actor.weight_decay=0.1")',
        ),
        (
            ["~optimizers.temperature"],
            "b.toml:30:1: optimizers.temperature: missing: sac trains 'temperature', which needs an optimizer;"
            ' add optimizers.temperature = { kind = "adam", learning_rate = 3e-4 };'
            ' optimizers.temperature is removed at command line:1:1 (override "~optimizers.temperature")',
        ),
    ],
)
def test_overrides(overrides: Sequence[str], expected: str, spoil: Callable[[str, str], Path]) -> None:
    (line,) = [str(problem) for problem in check(spoil("", ""), overrides)][:1]
    begins, _, ends = expected.partition("...")
    assert line.startswith(begins) and line.endswith(ends), line
    with pytest.raises(BlueprintError) as raised:
        load(spoil("", ""), overrides)
    assert str(raised.value).startswith(line)


def test_variants_and_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.toml").write_text(ROLLOUTS)
    (line,) = map(str, check("b.toml"))
    assert "cartpole_ppo.toml:18:14: algorithm.batch_size: " + BATCH in line
    assert "(because of b.toml:4:13: environment.copies = 16; " in line
    assert line.endswith("cartpole_ppo.toml:11:10 has 8)")
    (line,) = map(str, check("b.toml", variant="many"))
    assert "(because of b.toml:4:13: environment.copies = 16; " in line
    assert check("b.toml", ["environment.copies=8"], "many") == []
    Path("child.toml").write_text('extends = "b.toml"\n[environment]\ncopies = 16\nworkers = 1\n')
    (line,) = map(str, check("child.toml"))
    assert BATCH in line and "(because of child.toml:3:1: environment.copies = 16; " in line
    Path("child.toml").write_text('extends = "b.toml"\n[algorithm]\nepochs = 0\n')
    (line,) = map(str, check("child.toml"))
    assert line.startswith("child.toml:3:10: algorithm.epochs: must be in 1 to 1,000, got 0 (")
    assert line.endswith("cartpole_ppo.toml:16:10 has 4)")


def test_what_the_file_itself_causes_names_nothing_else(spoil: Callable[[str, str], Path]) -> None:
    path = spoil("capacity = 1_000", "capacity = 8")
    assert [problem.cause for problem in check(path, ["seeds=[3]"])] == [""]
    # A value that makes another problem, in the place of this one, did not cause it.
    path = spoil("momentum = 0.995", "momentum = 2.0")
    assert [problem.cause for problem in check(path, ["averages.target_critic.momentum=0.5", "replay.capacity=8"])] == [
        ""
    ]
