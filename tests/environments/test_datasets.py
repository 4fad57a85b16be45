"""Data sets: files in their published layouts, written here and small; generated pictures; what is held out."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dataset_files import HELD_OUT, RECORDS, shrink_cifar, shrink_tiny_imagenet, small_cifar, small_tiny_imagenet
from PIL import Image
from pydantic import ValidationError

from composer.environments.labelled.datasets import (
    Bits,
    Cifar,
    DataUnusable,
    Digits,
    GeneratedImages,
    Noise,
    TinyImageNet,
)


@pytest.fixture
def shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_cifar(monkeypatch)


def test_the_published_sizes() -> None:
    for labels in (10, 100):
        data = Cifar(folder="nowhere", labels=labels)
        assert data.info == ((3, 32, 32), labels, 50_000, 10_000)
    images = TinyImageNet(folder="nowhere")
    assert images.info == ((3, 64, 64), 200, 100_000, 10_000)


@pytest.mark.usefixtures("shrunk")
@pytest.mark.parametrize("labels", [10, 100])
def test_cifar_is_read_record_by_record(tmp_path: Path, labels: int) -> None:
    rows = small_cifar(tmp_path, labels)
    data = Cifar(folder=str(tmp_path), labels=labels)
    samples, held_out = data.load(0), data.load_held_out(0)
    assert samples.inputs.shape == (data.info.size, 3, 32, 32) and samples.inputs.dtype == np.uint8
    assert held_out.inputs.shape == (HELD_OUT, 3, 32, 32)
    # The class is the byte before the pixels: of two, the fine one. Red, green and blue planes follow, row by row.
    before = 1 if labels == 10 else 2
    assert samples.labels[:RECORDS].tolist() == rows[:, before - 1].tolist()
    pixel = samples.inputs[7, 1, 5, 9]
    assert pixel == rows[7, before + 1024 + 5 * 32 + 9]


def _cut(folder: Path) -> None:
    path = folder / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])


def _relabel(folder: Path) -> None:
    path = folder / "data_batch_2.bin"
    content = bytearray(path.read_bytes())
    content[3 * 3073] = 10
    path.write_bytes(bytes(content))


def _pickled(folder: Path) -> None:
    for path in folder.glob("*.bin"):
        path.unlink()
    (folder / "data_batch_1").write_bytes(pickle.dumps({"data": []}))


@pytest.mark.usefixtures("shrunk")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, r"data_batch_3\.bin is cut short: 61,459 bytes instead of 61,460 \(20 records of 3,073\)"),
        (_relabel, r"data_batch_2\.bin: record 3 has the label 10, and there are 10 classes"),
        (lambda folder: (folder / "data_batch_5.bin").unlink(), r"has no file 'data_batch_5\.bin'; it holds 'data"),
        (_pickled, r"holds the pickled version, and unpickling runs code; the unpacked cifar-10-binary\.tar\.gz"),
    ],
)  # fmt: skip
def test_spoilt_files_are_told(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    small_cifar(tmp_path, 10)
    spoil(tmp_path)
    with pytest.raises(DataUnusable, match=message):
        Cifar(folder=str(tmp_path)).load(0)


@pytest.mark.usefixtures("shrunk")
def test_checksums_are_held_to(tmp_path: Path) -> None:
    small_cifar(tmp_path, 10)
    right = hashlib.sha256((tmp_path / "data_batch_1.bin").read_bytes()).hexdigest()
    assert len(Cifar(folder=str(tmp_path), sha256={"data_batch_1.bin": right}).load(0).labels) == 5 * RECORDS
    with pytest.raises(DataUnusable, match=f"SHA-256 is {right}, not 0000"):
        Cifar(folder=str(tmp_path), sha256={"data_batch_1.bin": "0" * 64}).load(0)
    with pytest.raises(ValidationError, match=r"no file data_batch_6\.bin; did you mean"):
        Cifar(folder=str(tmp_path), sha256={"data_batch_6.bin": right})


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(DataUnusable, match=r"/nowhere does not exist; the unpacked cifar-10-binary\.tar\.gz"):
        Cifar(folder="/nowhere").load(0)
    with pytest.raises(DataUnusable, match=r"/nowhere does not exist; the unpacked tiny-imagenet-200\.zip"):
        TinyImageNet(folder="/nowhere").load_held_out(0)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shrink_tiny_imagenet(monkeypatch)
    return small_tiny_imagenet(tmp_path)


def test_tiny_imagenet_is_read_class_by_class(pictures: Path) -> None:
    data = TinyImageNet(folder=str(pictures))
    samples, held_out = data.load(0), data.load_held_out(0)
    assert samples.labels.tolist() == [0, 0, 1, 1, 2, 2], "in alphabetical order: n01, n02, n03"
    # JPEG keeps a plain surface to a step or two.
    assert samples.inputs[:, 0, 5, 5].tolist() == pytest.approx([50, 96, 100, 100, 0, 0], abs=6)
    assert samples.inputs[1, :, 9, 9].tolist() == [samples.inputs[1, 0, 9, 9]] * 3, "a grey one in three channels"
    assert held_out.labels.tolist() == [2, 0, 1]
    assert held_out.inputs[:, 2, 0, 0].tolist() == pytest.approx([0, 80, 160], abs=6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "train/n01/images/n01_1.JPEG").unlink(), "holds 5 pictures instead of 6"),
        (lambda f: (f / "wnids.txt").write_text("n01\nn02"), "names 2 classes instead of 3"),
        (lambda f: (f / "train/n02/images/n02_0.JPEG").write_bytes(b"GIF89a"), "n02_0.JPEG cannot be read as a JPEG"),
        (lambda f: Image.new("RGB", (32, 64)).save(f / "train/n02/images/n02_0.JPEG"), "is 32 x 64 pixels instead"),
        (lambda f: (f / "wnids.txt").unlink(), "has no file 'wnids.txt'"),
    ],
)  # fmt: skip
def test_a_spoilt_tiny_imagenet_is_told(pictures: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(pictures)
    with pytest.raises(DataUnusable, match=message):
        TinyImageNet(folder=str(pictures)).load(0)


def test_an_annotation_of_no_class_is_told(pictures: Path) -> None:
    (pictures / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn01\nval_1.JPEG\tn09\n")
    with pytest.raises(DataUnusable, match=r"val_annotations\.txt:2: 'n09' is no class of wnids\.txt"):
        TinyImageNet(folder=str(pictures)).load_held_out(0)


def test_generated_pictures_can_be_generalised_and_grow_harder() -> None:
    """By the nearest neighbour: chance is 0.1, and learning from more is better."""

    def right(learned: int, **keys: float) -> float:
        data = GeneratedImages.model_validate({"samples": 600, "held_out": 200, "side": 12, **keys})
        samples, held_out = data.load(0), data.load_held_out(3)
        assert samples.inputs.shape == (600, 3, 12, 12) and samples.inputs.dtype == np.uint8
        known, asked = (each.inputs.reshape(len(each.inputs), -1) / 255.0 for each in (samples, held_out))
        apart = (known[:learned] ** 2).sum(-1) - 2 * asked @ known[:learned].T
        return float((samples.labels[apart.argmin(1)] == held_out.labels).mean())

    easy, few, many = right(600, noise=0.2, deformation=0.1), right(60, noise=1.5), right(600, noise=1.5)
    assert easy > 0.95 and 0.15 < few < many < easy


def test_generated_pictures_are_of_their_number_alone() -> None:
    data = GeneratedImages(samples=30, held_out=30, side=8)
    one, again, held_out = data.load(0), data.load(7), data.load_held_out(0)
    assert not data.varies and np.array_equal(one.inputs, again.inputs) and np.array_equal(one.labels, again.labels)
    assert not np.array_equal(one.inputs, held_out.inputs)
    other = GeneratedImages(samples=30, held_out=30, side=8, number=1).load(0)
    assert not np.array_equal(one.inputs, other.inputs)
    assert 100 < one.inputs.mean() < 155 and one.inputs.std() > 20


def test_what_is_held_out_of_the_digits_is_the_last_of_them() -> None:
    data, whole = Digits(samples=1_437, held_out=360), Digits().load(0)
    assert np.array_equal(data.load(0).inputs, whole.inputs[:1_437])
    assert np.array_equal(data.load_held_out(0).inputs, whole.inputs[1_437:])
    assert np.array_equal(data.load_held_out(0).labels, whole.labels[1_437:])
    image = Digits(samples=9, layout="image")
    assert image.info.shape == (1, 8, 8) and np.array_equal(image.load(0).inputs.reshape(9, 64), whole.inputs[:9])
    with pytest.raises(ValidationError, match=r"1500 \+ 360 > 1797; 'samples' may be 1437"):
        Digits(samples=1_500, held_out=360)


@pytest.mark.parametrize("data", [Bits(samples=3), Noise(samples=3, width=2)])
def test_data_that_hold_nothing_out_say_so(data: Bits | Noise) -> None:
    assert data.info.held_out == Digits().info.held_out == 0
    with pytest.raises(DataUnusable, match=f"'{data.kind}' hold nothing out"):
        data.load_held_out(0)
