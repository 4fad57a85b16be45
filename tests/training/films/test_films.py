"""Films at the end of a run: whose agents, which frames, how long the command waits, and that nothing ends the run."""

from __future__ import annotations

import os
import signal
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from drift import DriftSingle
from PIL import Image
from tiny_runs import DRIFT, finished

from composer.environments.interface import RenderingUnavailable
from composer.tracking.media.files import png_step
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.training.films import filming, process, record
from composer.training.films.filming import LEAST_SECONDS, MOST_SECONDS, SHARE, budget, film_runs
from composer.training.films.sheet import ACROSS, DOWN, ContactSheet
from composer.training.runs.best import Best

SHORT = (DRIFT, "training.env_steps=60", "evaluation.every=20", "checkpoint.every=20", "evaluation.episodes=1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("runs"), *SHORT)[0]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DriftSingle, "render", lambda self: np.full((17, 15, 3), 90, np.uint8))


@pytest.mark.usefixtures("drawn")
def test_the_last_and_the_best_agent_are_filmed_each_with_a_picture(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "best_of", lambda run: Best(60, 1.0))
    assert [*record.film(run)] == [("last", 60), ("best", 60)]
    media = run / "media"
    assert sorted(path.name for path in media.iterdir()) == ["best.mp4", "best.png", "last.mp4", "last.png"]
    assert (media / "best.mp4").read_bytes() == (media / "last.mp4").read_bytes()
    assert b"avc1" in (media / "last.mp4").read_bytes(), "browsers play H.264"
    assert png_step((media / "last.png").read_bytes()) == 60
    monkeypatch.undo()
    monkeypatch.setattr(DriftSingle, "render", lambda self: np.full((16, 16, 3), 90, np.uint8))
    monkeypatch.setattr(record, "FRAMES", 2)
    (_, last), *rest = record.film(run)
    assert last == 60 and [name for name, _ in rest] == ["best"]


def test_what_cannot_be_drawn_is_a_line_and_leaves_no_file(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(self: DriftSingle) -> None:
        raise RenderingUnavailable("no display\nat all")

    monkeypatch.setattr(DriftSingle, "render", fail)
    monkeypatch.setattr(process.os, "nice", lambda by: None)
    monkeypatch.setattr(process.signal, "alarm", lambda seconds: None)
    before = {path.name: path.stat().st_mtime_ns for path in (run / "media").glob("*")}
    assert process.main([str(run), "10"]) == 1
    assert capsys.readouterr().err == "no display\n"
    assert {path.name: path.stat().st_mtime_ns for path in (run / "media").glob("*")} == before


def test_the_command_waits_for_a_share_of_the_time_of_training() -> None:
    assert budget(LEAST_SECONDS / SHARE - 1) == 0 and budget(LEAST_SECONDS / SHARE) == LEAST_SECONDS
    assert budget(1e6) == MOST_SECONDS and budget(600, runs=6) == 10 and budget(600, runs=7) == 0
    assert film_runs([Path("absent")], 1.0) == []


@pytest.mark.parametrize(
    ("code", "seconds", "said"),
    [
        ("print('last (environment step 5)')", 100, "films in RUN/media: last (environment step 5)"),
        ("print('last', flush=True); os.abort()", 100, "films in RUN/media: last; no others: the process"),
        ("sys.exit('no display')", 100, "no films: no display"),
        ("print('last', flush=True); time.sleep(99)", 10, "films in RUN/media: last; no others: filming took more"),
    ],
)
def test_whatever_the_process_does_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, seconds: float, said: str
) -> None:
    (tmp_path / "filmer.py").write_text(f"import os, sys, time\n{code}\n")
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / ".last.mp4").write_bytes(b"half a film")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(filming, "PROCESS", "filmer")
    monkeypatch.setattr(filming, "LEAST_SECONDS", 0.0)
    (line,) = film_runs([tmp_path], seconds)
    assert line.replace(str(tmp_path), "RUN").startswith(said)
    assert not [*(tmp_path / "media").iterdir()]


def test_a_signal_ends_the_filming_and_not_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "filmer.py").write_text(
        f"import os, signal, time\nos.kill({os.getpid()}, signal.SIGTERM)\ntime.sleep(99)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(filming, "PROCESS", "filmer")
    before = signal.getsignal(signal.SIGTERM)
    assert film_runs([tmp_path, tmp_path], 10_000) == ["no films: interrupted"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_picture_has_frames_of_the_whole_film() -> None:
    sheet = ContactSheet()
    for shade in range(250):
        sheet.take(np.full((480, 640, 3), shade, np.uint8))
    content = sheet.png(7)
    with Image.open(BytesIO(content)) as picture:
        shades = [picture.getpixel((x * 242 + 5, y * 182 + 5))[0] for y in range(DOWN) for x in range(ACROSS)]  # type: ignore[index]
        assert picture.size == (ACROSS * 242, DOWN * 182)
    assert shades == sorted(shades) and shades[0] == 0 and shades[-1] > 230 and png_step(content) == 7


def test_films_are_a_key_of_the_tracker() -> None:
    assert MlflowTracker().wants_films and not MlflowTracker(films=False).wants_films
