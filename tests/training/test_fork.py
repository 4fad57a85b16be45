"""``composer fork``: what goes on, what is fresh, what is refused, and that nothing else is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny_dqn
import torch
from tiny_runs import EVENTFUL, finished, go_on, last_json, resumed, rows, state_digest
from typer.testing import CliRunner

from composer.blueprint import load
from composer.cli import app
from composer.replay.vectors import VectorRing
from composer.studies.compare.compare import compare
from composer.studies.sweep import SweepRun
from composer.studies.sweep import finished as finished_before
from composer.tracking.records import JOURNAL
from composer.training import assemble, launch
from composer.training.assemble import fork as begin_fork
from composer.training.fork import NotForkable
from composer.training.runs.checkpoint import SAVED, Checkpoints
from composer.training.runs.directory import RunUnusable
from composer.training.runs.state_digest import digest
from composer.training.runs.state_files import CheckpointDamaged
from composer.training.session import Session

INJECTION = (
    "interventions.injection={ when = { kind = 'at', steps = [10] }, "
    "where = ['critic.trunk.1.*', 'critic.trunk.2.*', 'critic.head.*'], do = { kind = 'inject' }, target = 'follow' }"
)
CROSSING = (
    "interventions.late={ when = { kind = 'crossing', metric = 'critic/loss', above = 0.0, maximum = 2 }, "
    "where = ['critic.head.*'], do = { kind = 'lerp', toward = { kind = 'fresh' } }, target = 'own' }"
)
LONGER = "training.env_steps=200"


def forked(origin: Path, directory: Path, *overrides: str, at: int | None = None, branch: int = 0) -> Path:
    """A fork brought to its end."""
    return launch.fork(origin, overrides, at, branch, directory, quiet=True).path


def at_birth(origin: Path, directory: Path, *overrides: str, at: int | None = None, branch: int = 0) -> Session:
    """A fork that has not been stepped; its files are closed."""
    blueprint = load(origin / "blueprint.toml", overrides).blueprint
    run, parts, _ = begin_fork(origin, blueprint, at, branch, directory)
    parts.close()
    run.close()
    return parts


def unnumbered(path: Path, after: int = 0) -> list[dict[str, Any]]:
    """Rows of a journal after an environment step, without their numbers."""
    return [{key: row[key] for key in row if key != "seq"} for row in rows(path) if row["env_step"] > after]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 140 steps with every kind of state, and all of its checkpoints: 40, 80, 120, 140."""
    folder = tmp_path_factory.mktemp("whole")
    run, _ = finished(folder, *EVENTFUL, INJECTION, CROSSING, "checkpoint.keep=9")
    return run


@pytest.mark.parametrize("at", [pytest.param(40, marks=pytest.mark.slow), 80, 120])
def test_a_fork_that_changes_nothing_is_the_run(at: int, whole: Path, tmp_path: Path) -> None:
    """Beside the quick ones, a fork before the first injection."""
    before = (whole / "journal.jsonl").read_bytes()
    fork = forked(whole, tmp_path, at=at)
    assert state_digest(fork) == state_digest(whole)
    event, *rest = unnumbered(fork)
    assert rest == unnumbered(whole, after=at)
    assert event["type"] == "event" and (event["name"], event["env_step"]) == ("fork", at)
    checkpoints = Checkpoints(whole)
    assert event["digest"] == digest(checkpoints, checkpoints.load(at))
    assert (event["from"], event["changes"], event["fresh"], event["dropped"]) == (whole.name, [], [], [])
    ours, theirs = (json.loads((path / "run.json").read_text()) for path in (fork, whole))
    assert ours["fork"]["from"] == whole.name and ours["fork"]["env_step"] == at
    assert ours["hash"] != theirs["hash"] and ours["run_id"] != theirs["run_id"]
    assert (whole / "journal.jsonl").read_bytes() == before


@pytest.mark.slow
def test_a_fork_resumes_and_forks_again(whole: Path, tmp_path: Path) -> None:
    """Alone resumes and forks a fork."""
    fork = forked(whole, tmp_path / "one", at=40)
    origin = shutil.copytree(fork, tmp_path / "two" / fork.name)
    for step in Checkpoints(origin).steps()[1:]:
        shutil.rmtree(origin / "checkpoints" / f"step-{step:012d}")
    # Where it began stays with it: a kill before its next checkpoint costs nothing.
    assert state_digest(resumed(origin)) == state_digest(whole)
    again = forked(fork, tmp_path / "three", at=80)
    assert state_digest(again) == state_digest(whole)
    shutil.rmtree(origin / "checkpoints")
    with pytest.raises(CheckpointDamaged, match="has no checkpoint any more"):
        assemble.resume(origin)
    (origin / SAVED).unlink()  # as after a kill before the first checkpoint
    (origin / JOURNAL).write_bytes(b"")
    with pytest.raises(RunUnusable, match="is a fork without a checkpoint"):
        assemble.resume(origin)


def test_replay_rows_are_its_own(whole: Path, tmp_path: Path) -> None:
    """They are linked, and stay when the run that they came from is gone."""
    origin = Path(shutil.copytree(whole, tmp_path / "gone"))
    at_birth(origin, tmp_path / "forks", LONGER, at=120)
    (fork,) = (tmp_path / "forks").iterdir()
    shutil.rmtree(origin)
    assert len(list((fork / "replay").iterdir())) > 1
    resumed(fork)


def test_changed_numbers_change_what_follows_and_nothing_before(whole: Path, tmp_path: Path) -> None:
    parts = at_birth(whole, tmp_path, "optimizers.critic.learning_rate=1e-2", "algorithm.n_step=1", at=80)
    (path,) = tmp_path.iterdir()
    assert Checkpoints(path).load().tensors.keys() == Checkpoints(whole).load(80).tensors.keys()
    assert state_digest(path) == json.loads((path / "run.json").read_text())["fork"]["digest"]
    assert parts.clock.env_steps == 80
    (event,) = unnumbered(path)
    assert event["changes"] == ["algorithm.n_step", "optimizers.critic.learning_rate"]
    assert state_digest(forked(whole, tmp_path / "on", "algorithm.n_step=1", at=80)) != state_digest(whole)


def test_an_average_that_is_new_is_a_copy_of_its_network_as_it_is(whole: Path, tmp_path: Path) -> None:
    parts = at_birth(whole, tmp_path, "averages.tortoise={ of = 'actor', momentum = 0.9 }", at=80)
    tortoise, actor = parts.learner.averages["tortoise"], parts.learner.networks["actor"]
    for path, value in actor.parameters.items():
        assert torch.equal(tortoise.parameters[path], value)
        assert tortoise.parameters[path].data_ptr() != value.data_ptr()
    saved = Checkpoints(whole).load(80).tensors
    for path, value in parts.learner.averages["target_critic"].parameters.items():
        assert torch.equal(value, saved[f"averages/target_critic/{path}"]), "the others are as they were"
    (run,) = tmp_path.iterdir()
    assert unnumbered(run)[0]["fresh"] == ["averages/tortoise"]


def test_an_injection_that_is_new_takes_what_the_optimizer_knows_along(tmp_path: Path) -> None:
    run, _ = finished(tmp_path / "plain", *EVENTFUL, "checkpoint.keep=9")
    plain = forked(run, tmp_path / "a", LONGER, at=80)
    late = INJECTION.replace("[10]", "[35]")
    fork = forked(run, tmp_path / "b", LONGER, late, at=80)
    (event, *_) = [row for row in rows(fork) if row["type"] == "event" and row["name"] == "injection"]
    assert event["at"] == {"update": 35} and event["output_change"] <= 1e-6
    ours, theirs = (Checkpoints(path).load().tensors for path in (fork, plain))
    assert any("injections.0" in name for name in ours) and not any("injections.0" in name for name in theirs)
    # Common random numbers: until the injection the two are one.
    first = [row for row in unnumbered(plain) if row["env_step"] <= 90 and row["type"] == "metrics"]
    assert first and first == [row for row in unnumbered(fork) if row["env_step"] <= 90 and row["type"] == "metrics"]


def test_an_injected_network_may_be_frozen_otherwise(whole: Path, tmp_path: Path) -> None:
    """Which parameters are trained changes: counts and moments are found by path."""
    parts = at_birth(whole, tmp_path, "interventions.injection.do.original='train'", at=80)
    critic, saved = parts.learner.optimizers["critic"], Checkpoints(whole).load(80).tensors
    assert "head.linear.weight" in critic.paths()
    path = "trunk.0.weight"
    assert torch.equal(critic.moments(path)[0], saved[f"optimizers/critic/first.{path}"])
    assert critic.count(path).tolist() == [saved["optimizers/critic/steps"].max().item()] * 2
    assert critic.count("head.linear.weight").tolist() == [0, 0]
    assert torch.equal(critic.clock(), saved["optimizers/critic/clock"])


def test_a_fork_into_trac_counts_from_the_weights_of_the_checkpoint(whole: Path, tmp_path: Path) -> None:
    """Not from the first draw, which its first, tiny scale would bring back."""
    base = "{ kind = 'sgd', learning_rate = 1e-3 }"
    parts = at_birth(whole, tmp_path, f"optimizers.critic={{ kind = 'trac', base = {base} }}", at=80)
    saved = Checkpoints(whole).load(80).tensors
    for path in parts.learner.optimizers["critic"].paths():
        origin = parts.learner.optimizers["critic"].origin(path)
        assert origin is not None and torch.equal(origin, saved[f"networks/critic/{path}"])


def test_what_is_no_longer_there_is_dropped(whole: Path, tmp_path: Path) -> None:
    parts = at_birth(whole, tmp_path, "normalization.observation={ kind = 'raw' }", "diagnostics.measures=[]", at=80)
    assert parts.learner.statistics is None
    (run,) = tmp_path.iterdir()
    assert unnumbered(run)[0]["dropped"] == ["normalization/observation"]
    # Without measures the probe batch waits for those that may come.
    assert {name.split("/")[1] for name in Checkpoints(run).load().tensors if name.startswith("diagnostics/")} == {
        "probe"
    }


def test_measures_keep_their_memory_where_their_place_changes(whole: Path, tmp_path: Path) -> None:
    measures = "diagnostics.measures=[{ kind = 'rank' }, { kind = 'policy_churn', every = 10 }]"
    at_birth(whole, tmp_path / "same", measures, at=120)
    at_birth(whole, tmp_path / "other", measures, "diagnostics.batch=9", at=120)
    (same,), (other,) = (tmp_path / "same").iterdir(), (tmp_path / "other").iterdir()
    before, now = Checkpoints(whole).load(120).tensors, Checkpoints(same).load().tensors
    kept = [name for name in before if name.startswith("diagnostics/memory/1/")]
    assert kept and all(torch.equal(now[name], before[name]) for name in kept)
    assert not any(name.startswith("diagnostics/") for name in Checkpoints(other).load().tensors), "another probe batch"


def test_a_smaller_replay_keeps_the_newest(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = at_birth(whole, tmp_path / "full", at=120)
    restored, restore = [], VectorRing.restore

    def counted(replay: VectorRing, start: int, rows: torch.Tensor) -> None:
        restored.append(rows.shape[0])
        restore(replay, start, rows)

    monkeypatch.setattr(VectorRing, "restore", counted)
    small = at_birth(whole, tmp_path / "small", "replay.capacity=40", at=120)
    rows_of = [parts.collector.replay.rows(80, 120) for parts in (full, small)]  # type: ignore[attr-defined]
    assert torch.equal(*rows_of)
    assert sum(restored) == 40, "a slot that is written twice at once may hold either row"
    (run,) = (tmp_path / "small").iterdir()
    assert Checkpoints(run).load().values["replay_start"] == 80
    # The rows that no longer count are gone once the fork saves again.
    resumed(run)
    assert Checkpoints(run).load().values["replay_start"] == 100


def test_prioritised_replay_goes_on_in_a_longer_run_and_in_a_smaller_ring(tmp_path: Path) -> None:
    """A ring is no larger than its run: the fork of a shorter one, at its end, is the longer run."""
    short = ("replay.sampling={ kind = 'prioritised' }", "replay.capacity=400", "evaluation.every=40")

    def run(steps: int) -> Path:
        made, session = assemble.start(
            tiny_dqn.tiny(*short, f"training.env_steps={steps}"), tmp_path / str(steps), None
        )
        go_on(session)
        made.close()
        return made.path

    longer, shorter = run(160), run(80)
    fork = forked(shorter, tmp_path / "forks", "training.env_steps=160")
    assert state_digest(fork) == state_digest(longer)
    ring = tmp_path / "ring"
    forked(shorter, ring, "training.env_steps=160", "replay.capacity=30")
    saved = Checkpoints(next(ring.iterdir())).load().tensors["replay/priorities"]
    assert saved.shape[1] == 30 and (saved > 0).all()


def test_branches_differ_and_are_the_same_under_other_keys(whole: Path, tmp_path: Path) -> None:
    names = ("random/learn/0", "random/explore/5", "random/replay/0")

    def streams(name: str, branch: int, *overrides: str) -> list[torch.Tensor]:
        at_birth(whole, tmp_path / name, *overrides, at=80, branch=branch)
        (run,) = (tmp_path / name).iterdir()
        tensors = Checkpoints(run).load().tensors
        assert torch.equal(tensors["networks/actor/head.mean.weight"], before["networks/actor/head.mean.weight"])
        return [tensors[name] for name in names]

    before = Checkpoints(whole).load(80).tensors
    one, other, changed = streams("1", 1), streams("2", 2), streams("3", 1, "algorithm.n_step=1")
    for index, name in enumerate(names):
        assert not torch.equal(one[index], other[index]) and not torch.equal(one[index], before[name])
        assert torch.equal(one[index], changed[index])
    assert not torch.equal(one[0], one[2])


REFUSED = [
    ("seeds=[0]", r"seeds: a fork goes on with the seeds of its run, \[0, 5\]"),
    ("training.env_steps=120", r"training.env_steps: 120 is reached, the checkpoint is of environment step 120; go on"),
    ("environment.limit=9", r"environment.limit \(23 then, 9 now\): the episodes in progress cannot go on"),
    ("replay.capacity=71", r"replay.capacity: 71 cannot be filled: older transitions than the last 70 have been over"),
    (
        "networks.actor.trunk=[{ kind = 'linear', width = 17 }]",
        r"networks.actor.trunk\S* .*: actor.trunk.0.weight would be \(17, 3\), and the checkpoint has \(16, 3\)",
    ),
    (
        "networks.critic.copies=3",
        r"networks.critic.copies \(2 then, 3 now\): critic.trunk.0.weight would be 3 x \(16, 5\), and",
    ),
    (
        "interventions.injection.where=['critic.head.*']",
        r"interventions.injection: it has injected its network already",
    ),
    ("interventions.injection.do.third_term='omit'", r"interventions.injection: it has injected its network already"),
    (
        "interventions.injection.when={ kind = 'crossing', metric = 'evaluation/return', above = 0.0 }",
        r"interventions.injection: it has injected its network already",
    ),
    (
        "interventions.new={ when = { kind = 'at', steps = [30], clock = 'env' }, where = ['actor.*'], "
        "do = { kind = 'nothing' } }",
        r"interventions.new.when: never fires: the fork begins at 120 on the clock 'env' and ends at 140",
    ),
]


@pytest.mark.parametrize(("override", "message"), REFUSED)
def test_what_cannot_go_on_is_refused_with_its_key(override: str, message: str, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(NotForkable, match=message):
        at_birth(whole, tmp_path / "forks", override, at=120)
    assert not (tmp_path / "forks").exists(), "nothing is left of it"


def test_a_checkpoint_that_was_not_kept_is_told_with_those_that_were(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(NotForkable) as caught:
        at_birth(whole, tmp_path, at=77)
    assert str(caught.value) == (
        f"{whole} has no checkpoint of environment step 77; there are 40, 80, 120, 140; the nearest is --at 80 "
        "(its blueprint decides which are written, and how many of the newest stay: "
        "checkpoint.every = 40, checkpoint.keep = 9)"
    )


def test_the_command(whole: Path, tmp_path: Path) -> None:
    def invoke(*arguments: str) -> tuple[int, dict[str, Any], str]:
        found = CliRunner().invoke(app, ["fork", *arguments, "--json"])
        return found.exit_code, last_json(found.stdout), found.stderr

    code, table, said = invoke(str(whole), "--at", "120", "--runs", str(tmp_path), "algorithm.n_step=1")
    assert (code, table["status"], table["env_steps"]) == (0, "finished", 140)
    assert Path(table["run"]).parent == tmp_path
    assert f"forked from {whole} at environment step 120" in said
    code, table, said = invoke(str(whole))
    assert (code, table["exit_code"]) == (2, 2) and "training.env_steps: 140 is reached" in said
    code, table, _ = invoke(str(whole), "algorithm.n_stp=1")
    assert code == 2 and "did you mean 'n_step'" in table["message"]
    code, _, said = invoke(str(tmp_path / "nothing"))
    assert code == 3 and "is no run directory" in said


@pytest.mark.slow
def test_compare_says_where_runs_parted(whole: Path, tmp_path: Path) -> None:
    """Alone compares a run with its fork by the command."""
    fork = forked(whole, tmp_path, "algorithm.n_step=1", at=80)
    injected = forked(whole, tmp_path, "averages.slow={ of = 'actor', momentum = 0.5 }", "name='renamed'", at=80)
    table = compare([whole, fork, injected]).table
    names = [row["agent"] for row in table["tasks"][0]["agents"]]
    assert names[:2] == ["tiny", "tiny fork@80(algorithm.n_step=1)"]
    assert names[2].startswith("renamed fork@80(averages.slow#")
    origin = f"{fork.name} is a fork of {whole.name}: its journal begins at environment step 80"
    assert sum(note.startswith(origin) for note in table["notes"]) == 1
    assert table["tasks"][0]["area_from"] > 80


def test_a_fork_is_no_finished_run_of_a_sweep(whole: Path, tmp_path: Path) -> None:
    from composer.training.runs.directory import read_blueprint

    fork = forked(whole, tmp_path / "fork", at=120)
    member = SweepRun("base", None, read_blueprint(fork))
    assert finished_before(whole.parent, member) == whole
    assert finished_before(fork.parent, member) is None
