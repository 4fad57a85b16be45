"""``composer data``: what is here, whole or not, what to fetch by hand, and sums, of made-up files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from dataset_files import shrink_cifar, shrink_tiny_imagenet, small_cifar, small_tiny_imagenet
from tiny_runs import last_json
from typer.testing import CliRunner

from composer.cli import app
from composer.environments.labelled.datasets import Cifar

ROOT = Path(__file__).parents[2] / "blueprints" / "warm_start"
RESNET = (str(ROOT / "resnet18.toml"), "environment.phases=[{ updates = 100 }, {}]")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shrink_cifar(monkeypatch)
    shrink_tiny_imagenet(monkeypatch)
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str, code: int = 0) -> tuple[dict[str, dict[str, Any]], str]:
    """Rows by title, and what is said."""
    result = CliRunner().invoke(app, ["data", *arguments, "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return {row["title"]: row for row in last_json(result.stdout)["data"]}, result.stderr


def test_what_is_missing_is_fetched_by_hand(tmp_path: Path) -> None:
    rows, said = invoke()
    assert [rows[name]["state"] for name in ("CIFAR-10", "CIFAR-100", "Tiny ImageNet")] == ["missing"] * 3
    assert rows["digits"]["state"] == rows["teacher"]["state"] == "needs no file"
    assert "composer fetches nothing" in said and "tar -xzf data/cifar-10-binary.tar.gz -C data" in said
    assert rows["CIFAR-100"]["fetch"].endswith("(169 MB, MD5 03b5dce01913d631647c71ecec9e9cb8)")
    assert rows["CIFAR-10"]["looked_for"] == str(tmp_path / "data" / "cifar-10-batches-bin")


def test_what_is_there_is_checked_and_its_sums_are_those_that_a_blueprint_declares(tmp_path: Path) -> None:
    for folder, labels in (("cifar-10-batches-bin", 10), ("cifar-100-binary", 100)):
        (tmp_path / "other" / folder).mkdir(parents=True)
        small_cifar(tmp_path / "other" / folder, labels)
    (tmp_path / "other" / "tiny-imagenet-200").mkdir()
    small_tiny_imagenet(tmp_path / "other" / "tiny-imagenet-200")
    rows, said = invoke("--folder", "other", "--sums")
    assert {rows[name]["state"] for name in ("CIFAR-10", "CIFAR-100", "Tiny ImageNet")} == {"there"}
    assert "100 samples, 12 held out, 10 classes" in said
    sums = rows["CIFAR-10"]["sha256"]
    Cifar(folder="other/cifar-10-batches-bin", sha256=sums).verify()
    test = tmp_path / "other" / "cifar-10-batches-bin" / "test_batch.bin"
    assert sums["test_batch.bin"] == hashlib.sha256(test.read_bytes()).hexdigest()
    test.write_bytes(test.read_bytes()[:-1])
    (tmp_path / "other" / "tiny-imagenet-200" / "val" / "images" / "val_0.JPEG").write_bytes(b"GIF89a")
    (tmp_path / "other" / "cifar-100-binary.tar.gz").write_bytes(b"half of it")
    rows, said = invoke("--folder", "other")
    assert rows["CIFAR-10"]["state"] == rows["Tiny ImageNet"]["state"] == "spoilt"
    assert "test_batch.bin is cut short" in said and "cannot be read as a JPEG" in said
    assert rows["CIFAR-100"]["archive"].endswith("cut short, or another file than published")


def test_blueprints_are_asked_for_the_data_that_they_read(tmp_path: Path) -> None:
    rows, said = invoke(*RESNET, str(ROOT / "digits.toml"), code=6)
    photographs, digits = rows.values()
    assert photographs["state"] == "missing" and photographs["title"].startswith("warm-start-resnet18")
    assert digits["state"] == "needs no file" and "some of these data cannot be used" in said
    folder = tmp_path / "mine"
    folder.mkdir()
    small_cifar(folder, 10)
    rows, _ = invoke(*RESNET, f"environment.data.folder='{folder}'")
    assert [row["state"] for row in rows.values()] == ["there"]
