"""Pictures and films on their way to the store: each once per content, whatever fails or is killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from composer.tracking.media import sending
from composer.tracking.media.files import STEP, leave, media
from composer.tracking.media.sending import MediaSender
from composer.tracking.records import Record


class Killed(BaseException):
    """Stands for a kill."""


class Refuses(Exception):
    """Stands for what a store or a network raises."""


class FakeStore:
    """What ``Store`` does with files and pictures; call number ``stop_at`` raises ``error``, before or after."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.shown: list[tuple[str, int, bytes]] = []
        self.calls, self.stop_at, self.is_done = 0, 0, False
        self.error: type[BaseException] = Killed

    def call(self, effect: Callable[[], object]) -> None:
        self.calls += 1
        if self.calls == self.stop_at and not self.is_done:
            raise self.error
        effect()
        if self.calls == self.stop_at:
            raise self.error

    def log_file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        self.call(lambda: self.files.update({f"{folder}/{path.name}": path.read_bytes()}))

    def log_picture(self, run_id: str, content: bytes, key: str, step: int) -> None:
        self.call(lambda: self.shown.append((key, step, content)))

    def pictures(self, run_id: str) -> set[tuple[str, int]]:
        return {(key, step) for key, step, _ in self.shown}

    def why(self, error: Exception) -> str:
        return type(error).__name__


def png(shade: int, step: int | None = None) -> bytes:
    stream, texts = BytesIO(), PngImagePlugin.PngInfo()
    if step is not None:
        texts.add_text(STEP, str(step))
    Image.new("RGB", (2, 2), (shade, 0, 0)).save(stream, "png", pnginfo=texts)
    return stream.getvalue()


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run with a film, a picture at a step and one without."""
    leave(tmp_path, "curve.png", png(1, 4000))
    leave(tmp_path, "last.mp4", b"film")
    leave(tmp_path, "shape.png", png(2))
    return tmp_path


def send(run_dir: Path, store: FakeStore, run_id: str = "id", *, compares_all: bool = False) -> list[str]:
    notes: list[str] = []
    MediaSender(run_dir, store, run_id, compares_all=compares_all).send(notes, is_last=True)
    return notes


def test_each_content_is_sent_once_and_pictures_carry_their_step(run_dir: Path) -> None:
    store = FakeStore()
    sender = MediaSender(run_dir, store, "id")
    for _ in range(2):
        assert not sender.send([])
    assert sorted(store.files) == ["media/curve.png", "media/last.mp4", "media/shape.png"]
    assert [(key, step) for key, step, _ in store.shown] == [("curve", 0), ("curve", 4000), ("shape", 0)]
    leave(run_dir, "curve.png", png(3, 8000))
    sender.send([])
    new = png(3, 8000)
    assert store.calls == 9 and store.shown[-2:] == [("curve", 0, new), ("curve", 8000, new)]
    send(run_dir, store)
    assert store.calls == 9
    send(run_dir, store, "another run")
    assert store.calls == 15


@pytest.mark.parametrize("is_done", [False, True])
def test_killed_at_any_call_or_record_the_next_one_completes_it(
    run_dir: Path, is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, save = FakeStore(), Record.save
    monkeypatch.setattr(Record, "save", lambda record, run_dir: store.call(lambda: save(record, run_dir)))
    send(run_dir, store)
    calls = store.calls
    assert calls == 11
    for number in range(1, calls + 1):
        (run_dir / "media.json").unlink()
        store.__init__()  # type: ignore[misc]
        store.stop_at, store.is_done = number, is_done
        with pytest.raises(Killed):
            send(run_dir, store)
        send(run_dir, store)
        assert len(store.files) == 3
        counts = Counter((key, step) for key, step, _ in store.shown)
        assert counts.pop(("curve", 0)) <= 2, "the same picture at the step of the newest one hides itself"
        assert counts == {("curve", 4000): 1, ("shape", 0): 1}


def test_a_comparison_with_the_store_sends_only_the_pictures_that_it_lacks(run_dir: Path) -> None:
    store = FakeStore()
    send(run_dir, store)
    store.files.clear()
    store.shown = [each for each in store.shown if each[0] != "curve"]
    send(run_dir, store, compares_all=True)
    assert len(store.files) == 3 and [key for key, *_ in store.shown] == ["shape", "curve", "curve"]


def test_a_store_that_refuses_is_noted_left_alone_for_a_minute_and_tried_at_the_end(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(sending.time, "monotonic", lambda: now)
    store, notes = FakeStore(), ["a row"]
    store.error, store.stop_at = Refuses, 1
    sender = MediaSender(run_dir, store, "id")
    assert sender.send(notes)
    assert notes == ["a row", "media/curve.png is not there: Refuses"]
    assert not sender.send(notes) and store.calls == 1
    now = 61.0
    store.stop_at = 2
    assert not sender.send(notes) and store.calls == 2
    assert sender.send(notes, is_last=True)
    assert notes == ["a row"] and len(store.files) == 3 and len(store.shown) == 3


def test_a_damaged_picture_is_noted_once_and_costs_the_others_nothing(run_dir: Path) -> None:
    leave(run_dir, "curve.png", b"no picture")
    store, notes = FakeStore(), list[str]()
    sender = MediaSender(run_dir, store, "id")
    assert sender.send(notes) and not sender.send(notes)
    assert len(notes) == 1 and notes[0].startswith("media/curve.png cannot be read: UnidentifiedImageError")
    assert sorted(store.files) == ["media/last.mp4", "media/shape.png"]


def test_only_whole_regular_files_with_plain_names_are_sent(run_dir: Path) -> None:
    folder = run_dir / "media"
    (folder / ".film.mp4").write_bytes(b"half")
    (folder / "a b.png").write_bytes(png(1))
    (folder / "state.pt").write_bytes(b"tensors")
    (folder / "folder.png").mkdir()
    (folder / "link.png").symlink_to(folder / "curve.png")
    assert [path.name for path, _ in media(run_dir)] == ["curve.png", "last.mp4", "shape.png"]
    assert list(media(run_dir / "absent")) == []
