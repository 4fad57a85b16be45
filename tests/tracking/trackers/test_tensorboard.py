"""TensorBoard: what TensorBoard's own reader finds of pictures and texts, and a file whose last record is torn."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from stores import READERS, tracked_by
from tensorboard.backend.event_processing.event_accumulator import IMAGES, TENSORS, EventAccumulator
from test_exactly_once import deliver
from tracking_run import append, expected, rows, timing

from composer.tracking.base import StoreRefused
from composer.tracking.media.files import leave
from composer.tracking.media.sending import MediaSender
from composer.tracking.points import Point
from composer.tracking.records import JOURNAL, TIMING, Tracking
from composer.tracking.trackers import folder as module
from composer.tracking.trackers.tensorboard_store import TensorboardStore
from composer.tracking.trackers.tensorboard_tracker import TensorboardTracker


def png(color: str, step: int | None = None) -> bytes:
    """A picture, with the environment step that it shows."""
    content, texts = BytesIO(), PngInfo()
    if step is not None:
        texts.add_text("step", str(step))
    Image.new("RGB", (4, 3), color).save(content, "PNG", pnginfo=texts)
    return content.getvalue()


def loaded(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={TENSORS: 0, IMAGES: 0}).Reload()


def test_pictures_and_texts_are_shown_once(run_dir: Path) -> None:
    tracking = Tracking.load(tracked_by(run_dir, "tensorboard"))
    assert tracking is not None
    tracking.tags["agent"] = "sac | odd"
    tracking.save(run_dir)
    leave(run_dir, "show.txt", b"what it is\n```")
    destination = tracking.destination(run_dir)
    for color, step in (("red", 7), ("red", 7), ("blue", 9), ("green", 9)):
        leave(run_dir, "curve.png", png(color, step))
        leave(run_dir, "mine.png", png(color))
        deliver(run_dir)
        store = TensorboardStore(destination)
        MediaSender(run_dir, store, "composer/r-1", compares_all=True).send(notes := [], is_last=True)
        assert notes == []
        store.close()
    found = loaded(run_dir.parents[1] / "tensorboard" / "composer" / "sac _ odd" / "r-1" / "mean")
    assert [each.step for each in found.Images("pictures/curve")] == [0, 7, 9, 9]
    assert [each.step for each in found.Images("pictures/mine")] == [0, 0, 0]
    texts = {tag: [each.tensor_proto.string_val[0].decode() for each in found.Tensors(tag)] for tag in
             found.PluginTagToContent("text")}  # fmt: skip
    assert texts["show"] == ["````\nwhat it is\n```\n````"]
    assert texts["blueprint"] == ['```toml\nname = "sac"\n\n```']
    assert "| agent | sac \\| odd |" in texts["tags"][0] and len(texts["tags"]) == 1
    assert "| algorithm.kind | sac |" in texts["parameters"][0] and len(texts["parameters"]) == 1


@pytest.mark.parametrize("missing", [1, 9, 30])
def test_a_torn_record_is_sent_again_to_another_file(run_dir: Path, missing: int) -> None:
    tracked_by(run_dir, "tensorboard")
    append(run_dir / JOURNAL, rows())
    append(run_dir / TIMING, timing())
    deliver(run_dir)
    folder = run_dir.parents[1] / "tensorboard" / "composer" / "sac@reset" / "r-1" / "seed-3"
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-missing])
    tracking = Tracking.load(run_dir)
    assert tracking is not None
    store = TensorboardStore(tracking.destination(run_dir))
    wanted = {key: value for key, value in expected().items() if key[0] == "3"}
    points = [(Point(*key, value), 0) for key, value in wanted.items()]
    lacking = [each for each in points if each[0].step not in store.steps("composer/r-1/3", each[0].name)]
    assert 0 < len(lacking) <= 3
    store.log_points("composer/r-1/3", lacking)
    store.close()
    assert len(list(folder.iterdir())) == 2
    found = [each for each in READERS["tensorboard"](run_dir) if each[0] == "3"]
    assert sorted(each[:3] for each in found) == sorted(wanted)


def test_without_the_package_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(StoreRefused, match=r'is not installed: pip install "rl-composer\[tensorboard\]"'):
        TensorboardTracker().destination(tmp_path / "runs")
