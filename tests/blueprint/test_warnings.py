"""Warnings of ``check`` and of ``train``: each rule where it has something to say, and where it has not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import composer
from composer.blueprint import BlueprintError, load
from composer.blueprint.load import report
from composer.cli import app
from composer.spec.package_files import blueprint_files, blueprints_root

TINY = Path(__file__).parent.parent / "tiny.toml"
QUICKSTART = blueprints_root() / "quickstart.toml"
PHASES = blueprints_root() / "warm_start" / "digits.toml"
PPO = blueprints_root() / "classic" / "cartpole_ppo.toml"
DQN = blueprints_root() / "atari" / "dqn.toml"
LINE = '{{ kind="linear", start=0.9, end=0.4, updates={} }}'
RESET = 'interventions.{}={{ when={{ kind="every", interval={}, clock="{}" }}, where=["critic.head.*"], '
RESET += 'do={{ kind="lerp", toward={{ kind="fresh" }} }}, moments="zero" }}'
DO = "where = ['critic.head.*'], do = {{ kind = 'lerp', toward = {{ kind = 'fresh' }} }}, target = 'own' }}"
EITHER = (
    "interventions.a={{ when = {{ kind = 'any', {}of = [{{ kind = 'every', interval = 1 }}, "
    "{{ kind = 'crossing', metric = 'critic/loss', above = 1.0 }}] }}, " + DO
)
THEN = "{ kind = 'at', steps = [5_000], clock = 'env' }"
BOTH = (
    "interventions.a={{ when = {{ kind = 'all', maximum = 0, clock = 'env', of = ["
    "{{ kind = 'every', interval = 1_000, clock = 'env' }}, {} ] }}, " + DO
)
AT = RESET.replace('kind="every", interval={}', 'kind="at", steps=[{}]')
TORTOISE = 'averages.tortoise={{ of="critic", momentum={} }}'
HARE = 'interventions.a={{ use="hare_and_tortoise", interval={}, clock="update", where=["critic.*"] }}'
SPHERE = 'networks.critic.trunk=[{ kind="linear", width=8, unit_norm = "rows", bias = false }, { kind="unit_norm" }]'
NORM = 'interventions.{}={{ when={{ kind="every", interval=1 }}, where=["critic.*"], do={{ kind="project" }} }}'
CROSSING = 'interventions.a={{ when={{ kind="crossing", metric="{}", below=1.0, patience={} }}, where=["critic.*"], '
CROSSING += 'do={{ kind="perturb" }} }}'
RESTART = RESET.replace(" }}", ', schedules="restart" }}').replace(
    'clock="{}", schedules="restart" }}', 'clock="{}" }}'
)
RESTART = RESET.removesuffix(" }}") + ', schedules="restart" }}'
WARMUP = 'optimizers.critic.learning_rate={{ kind="warmup", value=1e-3, updates={} }}'

# Rule: file, overrides that are warned of, where, a piece of the message, and overrides that are not.
# The quickstart makes 29,000 updates, one per interaction after 1,000; an interaction is two environment steps.
CASES: dict[str, tuple[Path, tuple[str, ...], str, str, tuple[str, ...]]] = {
    "warm-up beyond the end": (
        QUICKSTART,
        ("training.env_steps=2_000",),
        "algorithm.warmup_interactions",
        "the run ends after 1,000 interactions, before the first update: nothing is learned (the warm-up takes 1,000)",
        ("training.env_steps=2_002",),
    ),
    "too few updates for one": (
        QUICKSTART,
        ("algorithm.update_to_data=0.00003",),
        "algorithm.update_to_data",
        "before the first update: nothing is learned (3e-05 updates",
        ("algorithm.update_to_data=0.00004",),
    ),
    "a rollout longer than the run": (
        PPO,
        ("training.env_steps=200", "training.log_every=200", "evaluation.every=200", "checkpoint.every=200"),
        "algorithm.rollout_interactions",
        "before the first update",
        (),
    ),
    "an evaluation beyond the end": (
        QUICKSTART,
        ("evaluation.every=60_001",),
        "evaluation.every",
        "evaluation.every = 60,001 is beyond the end of the run, 60,000 environment steps: what is due then happens o",
        ("evaluation.every=60_000",),
    ),
    "rows and checkpoints beyond the end": (
        QUICKSTART,
        ("training.log_every=70_000", "checkpoint.every=80_000"),
        "training.env_steps",
        "training.log_every = 70,000, checkpoint.every = 80,000 are beyond",
        (),
    ),
    "a measure beyond the end": (
        QUICKSTART,
        ('diagnostics.measures=[{ kind="curvature", every=60_001 }]',),
        "diagnostics.measures[0].every",
        "diagnostics.measures[0].every = 60,001 is beyond",
        ('diagnostics.measures=[{ kind="curvature", every=60_000 }]',),
    ),
    "an evaluation after every interaction": (
        QUICKSTART,
        ("evaluation.every=2",),
        "evaluation.every",
        "due after every interaction: one interaction is 2 environment steps",
        ("evaluation.every=3",),
    ),
    "a learning rate that ends too late": (
        QUICKSTART,
        ('optimizers.actor.learning_rate={ kind="linear", start=1e-3, end=1e-4, updates=30_001 }',),
        "optimizers.actor.learning_rate",
        "goes on until update 30,001; the run makes 29,000",
        ('optimizers.actor.learning_rate={ kind="linear", start=1e-3, end=1e-4, updates=30_000 }',),
    ),
    "a discount that ends too late": (
        QUICKSTART,
        ('algorithm.discount={ kind="lengthening", updates=30_001, start=0.9, end=0.99 }',),
        "algorithm.discount",
        "goes on until update 30,001",
        ('algorithm.discount={ kind="lengthening", updates=30_000, start=0.9, end=0.99 }',),
    ),
    "exploration that ends too late": (
        DQN,
        ("training.env_steps=400_000", "evaluation.every=400_000", "checkpoint.every=400_000"),
        "algorithm.epsilon",
        "goes on until update",
        (),
    ),
    "an exponent of priorities that ends too late": (
        blueprints_root() / "atari" / "rainbow.toml",
        ('replay.sampling={ kind="prioritised", correction=' + LINE.format(10**9) + " }",),
        "replay.sampling.correction",
        "goes on until update 1,000,000,000",
        (),
    ),
    "a copy that never comes": (
        QUICKSTART,
        ('averages.target_critic.momentum={ kind="periodic", every=30_001 }',),
        "averages.target_critic.momentum",
        "every 30,001th update never comes",
        ('averages.target_critic.momentum={ kind="periodic", every=30_000 }',),
    ),
    "a first batch larger than the data": (
        QUICKSTART,
        ("algorithm.warmup_interactions=127",),
        "algorithm.warmup_interactions",
        "the first updates draw 128 transitions out of 127, each several times",
        ("algorithm.warmup_interactions=128",),
    ),
    "a replay that forgets the warm-up": (
        QUICKSTART,
        ("replay.capacity=999",),
        "replay.capacity",
        "keeps 999 of the 1,000 transitions of the warm-up",
        ("replay.capacity=1_000",),
    ),
    "more steps than an episode": (
        QUICKSTART,
        ("environment.action_repeat=20", "algorithm.n_step=51"),
        "algorithm.n_step",
        "sums 51 rewards, and an episode has 50",
        ("environment.action_repeat=20", "algorithm.n_step=50"),
    ),
    "early stopping that waits too long": (
        PHASES,
        (
            "environment.phases=[{ updates=1_000, subset=0.1, early_stopping={ patience=9, every=101 } }, {}]",
            "environment.last_batch='drop'",
        ),
        "environment.phases[0].early_stopping",
        "never ends the phase early: that takes 10 readings, 101 updates apart, and it lasts 1,000 updates",
        (
            "environment.phases=[{ updates=1_000, subset=0.1, early_stopping={ patience=9, every=100 } }, {}]",
            "environment.last_batch='drop'",
        ),
    ),
    "an average that never moves": (
        QUICKSTART,
        ("averages.target_critic.momentum=1.0",),
        "averages.target_critic.momentum",
        "it stays what 'critic' was at the start",
        ("averages.target_critic.momentum=0.9999",),
    ),
    "an average that is its network": (
        QUICKSTART,
        (TORTOISE.format(0),),
        "averages.tortoise.momentum",
        "it equals 'critic' after an update",
        ("averages.target_critic.momentum=0",),
    ),
    "a step size in place of a momentum": (
        QUICKSTART,
        ("averages.target_critic.momentum=0.005",),
        "averages.target_critic.momentum",
        "keeps 0.005 of itself at an update and takes 0.995 of 'critic'",
        ("averages.target_critic.momentum=0.5",),
    ),
    "one average twice": (
        QUICKSTART,
        (TORTOISE.format(0.99),),
        "averages.tortoise",
        "the same numbers as 'target_critic'",
        (TORTOISE.format(0.999),),
    ),
    "a decayed scalar": (
        QUICKSTART,
        ('optimizers.temperature={ kind="adamw", learning_rate=1e-4 }',),
        "optimizers.temperature.weight_decay",
        "towards 1",
        ('optimizers.temperature={ kind="adamw", weight_decay=0.0 }',),
    ),
    "a reset before the first update": (
        QUICKSTART,
        (AT.format("a", 1_000, "env"),),
        "interventions.a.when",
        "fires after 500 interactions, before the first update",
        (AT.format("a", 2_002, "env"),),
    ),
    "a reset after every update": (
        QUICKSTART,
        (RESET.format("a", 1, "update"),),
        "interventions.a.when",
        "fires after every update: no time to learn",
        (RESET.format("a", 2, "update"),),
    ),
    "a reset after every interaction": (
        QUICKSTART,
        (RESET.format("a", 1, "interaction").replace("interval=1", "interval=1, first=1_001"),),
        "interventions.a.when",
        "fires after every interaction (one interaction is 2 environment steps)",
        (NORM.format("a"),),
    ),
    "a Hare that returns at every update": (
        QUICKSTART,
        (TORTOISE.format(0.999), HARE.format(1)),
        "interventions.a.when",
        "fires after every update",
        (TORTOISE.format(0.999), HARE.format(2)),
    ),
    "every update, within a combination": (
        QUICKSTART,
        (EITHER.format("maximum = 0, "),),
        "interventions.a.when",
        "fires after every update: no time to learn",
        (EITHER.format(""),),
    ),
    "a combination and another at one moment": (
        QUICKSTART,
        (BOTH.format("{ kind = 'every', interval = 2_500, clock = 'env' }"), AT.format("b", 5_000, "env")),
        "interventions.b",
        "fires together with 'a'",
        (
            BOTH.format("{ kind = 'not', of = { kind = 'at', steps = [5_000], clock = 'env' } }"),
            AT.format("b", 5_000, "env"),
        ),
    ),
    "two at one moment": (
        QUICKSTART,
        (RESET.format("a", 10_000, "env"), RESET.format("b", 5_000, "env")),
        "interventions.b",
        "fires together with 'a', on critic.head.linear.bias too, in the order of the file: the later of the two wins",
        (RESET.format("a", 10_000, "env"), AT.format("b", 9_998, "env")),
    ),
    "two at one moment of two clocks": (
        QUICKSTART,
        (AT.format("a", 10_000, "env"), AT.format("b", 5_000, "interaction")),
        "interventions.b",
        "fires together with 'a'",
        (AT.format("a", 10_000, "env"), AT.format("b", 5_001, "interaction")),
    ),
    "two at one update": (
        QUICKSTART,
        (RESET.format("a", 10_000, "env"), RESET.format("b", 4_000, "update")),
        "interventions.b",
        "those on updates first",
        (AT.format("a", 10_000, "env"), AT.format("b", 4_001, "update")),
    ),
    "two within one interaction": (
        QUICKSTART,
        (AT.format("a", 9_999, "env"), AT.format("b", 10_000, "env")),
        "interventions.b",
        "fires together with 'a'",
        (AT.format("a", 10_000, "env"), NORM.format("b")),
    ),
    "a warm-up begun anew too soon": (
        QUICKSTART,
        (RESTART.format("a", 5_000, "env"), WARMUP.format(2_501)),
        "interventions.a.schedules",
        "begins the schedule of optimizers.critic anew every 2,500 updates, before its end, 2,501 updates",
        (RESTART.format("a", 5_000, "env"), WARMUP.format(2_500)),
    ),
    "a frozen network": (
        QUICKSTART,
        (
            'networks.critic.trunk=[{ kind="frozen", block={ kind="linear", width=8 } }, { kind="relu" }]',
            RESET.format("a", 10_000, "env").replace("head", "trunk"),
        ),
        "interventions.a.where",
        "nothing trains critic.trunk",
        (RESET.format("a", 10_000, "env"),),
    ),
    "noise on a sphere": (
        QUICKSTART,
        (SPHERE, 'interventions.a={ use="shrink_and_perturb_gaussian", where=["critic.*"] }'),
        "interventions.a.do",
        "is kept at unit norm",
        (SPHERE, 'interventions.a={ use="shrink_and_perturb_gaussian", where=["actor.*"] }'),
    ),
    "nothing to choose": (
        QUICKSTART,
        ("compute.reproducible=false", "compute.compile=always"),
        "compute.reproducible",
        "here compile is 'always'",
        ("compute.reproducible=false",),
    ),
}


def warned(path: Path, overrides: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(each.path, each.message) for each in load(path, overrides).warnings]


@pytest.mark.parametrize("case", CASES)
def test_a_warning_is_given_where_it_should_be_and_nowhere_else(case: str) -> None:
    path, overrides, key, piece, silent = CASES[case]
    found = warned(path, overrides)
    assert [(where, piece in message) for where, message in found] == [(key, True)], found
    assert warned(path, silent) == []


@pytest.mark.parametrize(
    "other",
    [
        RESET.format("b", 10_000, "env").replace("critic.", "actor."),
        CROSSING.format("evaluation/return", 1).replace(".a=", ".b="),
        'interventions.b={ use="moments_reset", when={ kind="at", steps=[10_000], clock="env" } }',
        AT.format("b", "7, 9_998", "env"),
        RESET.format("b", 10_000, "env").replace("interval=10000", "interval=10000, first=5000"),
    ],
)
def test_firings_that_do_not_meet_are_not_warned_of(other: str) -> None:
    found = warned(QUICKSTART, (RESET.format("a", 10_000, "env"), other))
    assert [message for _, message in found if "together" in message] == []


def test_many_firings_are_compared_in_time() -> None:
    """A million firings of each, on one clock and on two; those that meet late too."""
    often = RESET.format("a", 2, "update"), RESET.format("b", 3, "update"), "training.env_steps=10_000_000"
    for both in (often, (often[0], RESET.format("b", 5, "interaction"), often[2])):
        started = time.process_time()
        assert any("fires together" in message for _, message in warned(QUICKSTART, both))
        assert time.process_time() - started < 3.0


def test_a_crowd_of_interventions_is_compared_in_time(tmp_path: Path) -> None:
    steps = ",\n".join(str(2 * step) for step in range(2_000, 2_250))
    crowd = [AT.format(f"a{number}", "0", "env") for number in range(40)]
    crowd += [AT.format(f"b{number}", "0", "interaction") for number in range(20)]
    whole = "\n".join(crowd).replace("steps=[0]", 'steps="${values.steps}"')
    path = tmp_path / "crowd.toml"
    path.write_text(f'blueprint = 1\nextends = "quickstart"\n{whole}\nvalues.steps = [{steps}]\n')
    loaded, started = load(path), time.process_time()
    assert sum("fires together" in warning.message for warning in loaded.warnings) > 40
    assert time.process_time() - started < 5.0


def test_a_smoke_test_is_warned_of_and_runs(tmp_path: Path) -> None:
    """One line for what a shortened run does not reach, one for what it does not learn."""
    result = invoke("train", str(TINY), "training.env_steps=80", "--runs", str(tmp_path), "--json")
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout.splitlines()[-1])
    paths = {warning["path"] for warning in table["warnings"]}
    assert paths == {"training.env_steps", "algorithm.warmup_interactions"} and len(table["warnings"]) == 2
    facts = json.loads((Path(table["run"]) / "run.json").read_text())
    assert facts["warnings"] == table["warnings"]
    assert f"{TINY}:" in result.stderr and "warning: algorithm.warmup_interactions: the run ends" in result.stderr


def test_check_warns_at_the_line_and_of_variants(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        QUICKSTART.read_text() + "[variants.short]\ntraining.env_steps = 2_000\n[variants.same]\nseeds=[7]\n"
    )
    result = invoke("check", str(path))
    line = next(n for n, text in enumerate(path.read_text().split("\n"), 1) if text.startswith("warmup_interactions"))
    assert result.exit_code == 0
    assert result.stdout == (
        f"{path}:{line}:23: warning: algorithm.warmup_interactions: the run ends after 1,000 interactions, before the"
        " first update: nothing is learned (the warm-up takes 1,000)\n"
    )
    assert "1 blueprint in order, 1 warning" in result.stderr
    table = json.loads(invoke("check", str(path), "--json").stdout)
    assert (table["ok"], table["problems"]) == (True, [])
    assert [(each["line"], each["path"]) for each in table["warnings"]] == [(line, "algorithm.warmup_interactions")]


@pytest.mark.parametrize("path", blueprint_files(), ids=lambda path: path.stem)
def test_what_ships_is_warned_of_nothing(path: Path) -> None:
    assert [each.as_warning() for each in report(path).warnings] == []


def test_whole_networks_cannot_be_reset_without_pause() -> None:
    for moments in (('"update"', 1), ('"env"', 2), ('"interaction"', 1)):
        clock, interval = moments
        reset = RESET.format("a", interval, clock.strip('"'))
        with pytest.raises(BlueprintError, match=r"when: fires after every .* all weights of 'critic' anew: nothing"):
            load(QUICKSTART, [reset.replace("critic.head.*", "critic.*")])
        assert load(QUICKSTART, [reset.replace("critic.head.*", "critic.*").replace("toward", "amount=0.4, toward")])


def test_a_blueprint_from_python_is_warned_of_too(tmp_path: Path) -> None:
    blueprint = composer.load(TINY, ["training.env_steps=80"])
    result = composer.train(blueprint, tmp_path)
    assert any("nothing is learned" in each["message"] for each in result.table["warnings"])
    copy = blueprint.model_copy(update={"name": "copy"})
    assert any("nothing is learned" in each["message"] for each in composer.train(copy, tmp_path).table["warnings"])


def child(folder: Path, name: str, text: str = 'extends = "quickstart"\n') -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def test_a_child_without_a_name_is_called_like_its_file(tmp_path: Path) -> None:
    first = child(tmp_path, "wide.toml", 'extends = "quickstart"\nnetworks.critic.trunk.width = 128\n')
    grandchild = child(tmp_path, "wide-and-long.toml", 'extends = "wide.toml"\ntraining.env_steps = 80_000\n')
    own = child(tmp_path, "other.toml", 'extends = "wide.toml"\nname = "mine"\n')
    assert [load(path).blueprint.name for path in (first, grandchild, own)] == ["wide", "wide-and-long", "mine"]
    assert load(first, ["name=said"]).blueprint.name == "said"
    assert "the name of the file" in str(load(first).origin("name"))
    unfit = child(tmp_path, "My Agent.toml")
    with pytest.raises(BlueprintError, match=r"name: use \[a-z0-9\._-\].*'?My Agent.*the name of the file"):
        load(unfit)


def test_equal_names_of_different_experiments_are_warned_of(tmp_path: Path) -> None:
    text = 'extends = "quickstart"\nname = "{}"\nalgorithm.batch_size = {}\n'
    a, b = child(tmp_path, "a.toml", text.format("one", 64)), child(tmp_path, "b.toml", text.format("one", 32))
    c, d = child(tmp_path, "c.toml", text.format("one", 64)), child(tmp_path, "d.toml", text.format("two", 64))
    warnings = json.loads(invoke("check", *map(str, (a, b, c, d, a)), "--json").stdout)["warnings"]
    assert [(each["file"], each["line"], each["path"]) for each in warnings] == [(str(b), 2, "name")]
    assert f"{a} is called 'one' too" in warnings[0]["message"]
    elsewhere = child(tmp_path / "more", "a.toml", 'extends = "quickstart"\nalgorithm.n_step = 1\n')
    other = child(tmp_path / "less", "a.toml")
    (warning,) = json.loads(invoke("check", str(elsewhere), str(other), "--json").stdout)["warnings"]
    assert warning["file"] == str(other)


def test_the_name_of_a_parent_is_warned_of(tmp_path: Path) -> None:
    path = child(tmp_path, "a.toml", 'extends = "quickstart"\nname = "quickstart"\nalgorithm.n_step = 1\n')
    (warning,) = report(path).warnings
    assert (warning.line, warning.path) == (2, "name")
    assert warning.message.endswith("is called like this too: their runs count as one experiment")
    middle = child(tmp_path, "b.toml", 'extends = "a.toml"\n')
    assert report(middle).warnings == []
    (warning,) = report(child(tmp_path, "c.toml", 'extends = "b.toml"\nname = "b"\n')).warnings
    assert str(middle) in warning.message


def invoke(*arguments: str):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, list(arguments))
