"""Data sets of photographs in their published layouts, made up and small, for tests that read them as a user would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from composer.environments.labelled.datasets import cifar
from composer.environments.labelled.datasets import tiny_imagenet as tiny

RECORDS, HELD_OUT = 20, 12
NAMES = ("n03", "n01", "n02")


def small_cifar(folder: Path, labels: int) -> NDArray[np.uint8]:
    """Both parts of CIFAR in the binary layout, a few records long; returns the rows of the first file."""
    layout = cifar.LAYOUTS[labels]
    random = np.random.default_rng(0)
    first = None
    for names, count in ((layout.learned, RECORDS), (layout.held_out, HELD_OUT)):
        for name in names:
            rows = random.integers(0, 256, (count, layout.label_bytes + 3072), dtype=np.uint8)
            rows[:, : layout.label_bytes] = random.integers(0, 10, (count, layout.label_bytes))
            (folder / name).write_bytes(rows.tobytes())
            first = rows if first is None else first
    assert first is not None
    return first


def shrink_cifar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layouts with few records: all else of them stays."""
    for labels, layout in list(cifar.LAYOUTS.items()):
        monkeypatch.setitem(cifar.LAYOUTS, labels, layout._replace(records=RECORDS, held_out_records=HELD_OUT))


def shrink_tiny_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three classes of two pictures, and three held out."""
    for name, value in (("CLASSES", 3), ("EACH", 2), ("HELD_OUT", 3)):
        monkeypatch.setattr(tiny, name, value)


def small_tiny_imagenet(folder: Path) -> Path:
    """Tiny ImageNet so small; one picture is grey."""
    (folder / "wnids.txt").write_text("\n".join(NAMES))
    for place, name in enumerate(NAMES):
        own = folder / "train" / name / "images"
        own.mkdir(parents=True)
        for number in range(2):
            shade = Image.new("RGB", (64, 64), (50 * place, 100, 200))
            (shade.convert("L") if place == number == 1 else shade).save(own / f"{name}_{number}.JPEG")
    (folder / "val" / "images").mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (64, 64), (0, 0, 80 * number)).save(folder / "val" / "images" / f"val_{number}.JPEG")
    lines = [f"val_{number}.JPEG\t{NAMES[number]}\t0\t0\t62\t62" for number in range(3)]
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    return folder
