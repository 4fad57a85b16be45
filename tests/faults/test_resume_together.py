"""Runs of one program are killed between any two writes, and resume as if nothing had happened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_runs import EVENTFUL, result, rows, tiny

from composer.tracking.console import Console
from composer.training import assemble, launch
from composer.training.assemble import NewRun, NotTheSame
from composer.training.population.together import Together
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import RunUnusable, open_run, read_facts
from composer.training.runs.shared_program import read_program
from composer.training.runs.verify import verify

QUIET = (*EVENTFUL, "tracking.kind='none'")
WILD = "optimizers.actor.learning_rate=1e29"


class Killed(BaseException):
    """Nobody catches it to save something."""


def members(*more: str) -> list[NewRun]:
    """Three runs of two, one and two seeds; ``more`` is of the second."""
    own = (("algorithm.discount=0.9",), ("seeds=[3]", *more), ("algorithm.n_step=3", "seeds=[7, 0]"))
    return [NewRun(f"m{n}", tiny(*QUIET, "averages.target_critic.momentum=0.9", *each)) for n, each in enumerate(own)]


def train(together: Together) -> None:
    """To the end; nothing stays open, whatever happens."""
    try:
        together.train(Console(140, enabled=False))
    finally:
        for each in together.runs:
            each.session.close()
            each.run.close()


def begun(runs: Path, members: Sequence[NewRun]) -> tuple[list[Path], Together]:
    together = assemble.start_together(members, runs)
    return [each.run.path for each in together.runs], together


def resumed(path: Path) -> None:
    together, _ = assemble.resume_together(path)
    train(together)


@contextmanager
def killed_after(saves: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Die after so many checkpoints have been written, of whichever run."""
    left, save = [saves], Checkpoints.save

    def counted(*arguments: object) -> Path:
        written = save(*arguments)  # type: ignore[arg-type]
        left[0] -= 1
        if not left[0]:
            raise Killed
        return written

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", counted)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The directories of runs that nothing has disturbed."""
    paths, together = begun(tmp_path_factory.mktemp("whole"), members())
    train(together)
    return paths


@pytest.fixture
def copies(whole: list[Path], tmp_path: Path) -> list[Path]:
    """The same, to be damaged."""
    return [Path(shutil.copytree(path, tmp_path / path.name)) for path in whole]


@pytest.mark.slow
def test_killed_after_every_checkpoint_of_every_run_all_end_alike(
    whole: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve lives of three runs: each writes one checkpoint of one; the others are behind it, or wait for it, next."""
    lives = 1
    with killed_after(1, monkeypatch), pytest.raises(Killed):
        paths, together = begun(tmp_path, members())
        train(together)
    while any(Checkpoints(path).steps()[-1:] != [140] for path in paths):
        with killed_after(1, monkeypatch), pytest.raises(Killed):
            resumed(paths[lives % 3])
        lives += 1
    resumed(paths[0])  # Nothing is left to do.
    assert lives == 12
    assert [result(path) for path in paths] == [result(path) for path in whole]


def test_a_run_that_has_diverged_does_so_again_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, together = begun(tmp_path / "whole", members(WILD))
    train(together)
    with killed_after(5, monkeypatch), pytest.raises(Killed):
        halted, together = begun(tmp_path / "halted", members(WILD))
        train(together)
    last = [Checkpoints(path).steps()[-1:] for path in halted]
    assert last[1] < last[2], "it has diverged before, and the others have got on"
    resumed(halted[2])
    for path, other in zip(paths, halted, strict=True):
        assert (path / "journal.jsonl").read_bytes() == (other / "journal.jsonl").read_bytes()
    assert [result(path)[0] for path in (paths[0], paths[2])] == [result(path)[0] for path in (halted[0], halted[2])]
    assert rows(halted[1])[-1]["name"] == "diverged"


def test_a_damaged_checkpoint_is_made_anew_while_the_others_wait(whole: list[Path], copies: list[Path]) -> None:
    newest = Checkpoints(copies[1]).folder(140) / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    assert verify(copies[1])["status"] == "damaged" and verify(copies[0])["status"] == "sound"
    resumed(copies[0])
    assert [result(path) for path in copies] == [result(path) for path in whole]


def test_runs_do_not_depend_on_what_other_places_hold(whole: list[Path], copies: list[Path], tmp_path: Path) -> None:
    """Whether somebody was never there, or is gone: the others are the same to the bit."""
    without = [each._replace(is_absent=number == 1) for number, each in enumerate(members())]
    paths, together = begun(tmp_path / "absent", without)
    train(together)
    assert [result(path) for path in paths] == [result(whole[0]), result(whole[2])]
    program = read_program(read_facts(paths[0]))
    assert program is not None and program.seeds == (2, 1, 2) and program.runs[1] is None
    shutil.rmtree(copies[0])
    shutil.rmtree(Checkpoints(copies[2]).folder(140))
    together, notes = assemble.resume_together(copies[1])
    train(together)
    assert any(copies[0].name in note and "gone" in note for note in notes)
    assert result(copies[2]) == result(whole[2])


def test_each_is_a_run_like_any_other(copies: list[Path], tmp_path: Path) -> None:
    assert launch.evaluate(copies[2], 1, None)["env_steps"] == 140
    run, session, _ = assemble.fork(copies[2], tiny(*QUIET, "seeds=[7, 0]", "algorithm.n_step=3"), 120, 0, tmp_path)
    assert "program" not in run.facts and session.clock.env_steps == 120
    session.close()
    run.close()
    with pytest.raises(NotTheSame, match="shared with m0, m1 then, its own now"):
        assemble.resume(copies[2])
    held = open_run(copies[0])
    with pytest.raises(RunUnusable, match=r"in use by process \d+"):
        assemble.resume_together(copies[2])
    held.close()
    assert (
        assemble.start_together(members(), tmp_path / "again").runs[0].run.facts["hash"]
        == json.loads((copies[0] / "run.json").read_text())["hash"]
    )
