"""The warm-start blueprints: each variant learns a few updates on a small network, and pays what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_files import shrink_cifar, shrink_tiny_imagenet, small_cifar, small_tiny_imagenet

from composer.blueprint import load
from composer.tracking.console import Console
from composer.training import assemble
from composer.training.loop import train

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "blueprints" / "warm_start"
METHODS = ("cold_start", "l2", "ema", "head_reset", "shrink_and_perturb", "self_distillation", "hare_tortoise")
SHORT = (
    "seeds=[1, 2]",
    "training={ env_steps = 6, log_every = 2 }",
    "evaluation.every=3",
    "checkpoint.every=6",
    "tracking.kind='none'",
)
NETWORKS = {
    "resnet18": ("networks.model.trunk=[{ use = 'resnet18', width = 2 }]", "networks.model.head.classes=3"),
    "vgg16": ("networks.model.trunk={ use = 'vgg16_bn', width = 2, features = 8 }", "networks.model.head.classes=3"),
    "vit_tiny": (
        "networks.model.trunk={ use = 'vit_tiny', width = 6, depth = 1 }",
        "networks.model.head.classes=3",
    ),
    "digits": (),
}


def small(name: str) -> list[str]:
    """Few updates on few pictures; a Hare returns after every epoch."""
    data = "{ kind = 'generated_images', samples = 60, held_out = 20, labels = 3 }"
    if name == "digits":
        data = "{ kind = 'digits', samples = 100, held_out = 20 }"
    phases = f"environment={{ kind = 'phases', data = {data}, phases = [{{ updates = 4, subset = 0.2 }}, {{}}] }}"
    return [phases, "algorithm.batch_size=5", *NETWORKS[name], *SHORT, "interventions.hare.interval=1"]


def learned(path: Path, overrides: list[str], variant: str | None, runs: Path) -> list[str]:
    """Train to the end; returns the names of what fired, in order, for the first seed."""
    hare = [each for each in overrides if not each.startswith("interventions.hare") or variant == "hare_tortoise"]
    blueprint = load(path, hare, variant).blueprint
    run, parts = assemble.start(blueprint, runs, variant)
    fired: list[str] = []
    tell = parts.record

    def watched(kind: str, **row: object) -> None:
        if kind == "event" and row["seed"] == blueprint.seeds[0]:
            fired.append(str(row["name"]))
        tell(kind, **row)

    parts.record = watched  # type: ignore[method-assign]
    outcome = train(parts, Console(6, enabled=False))
    parts.close()
    run.close()
    assert np.isfinite(outcome.returns).all() and outcome.updates == blueprint.training.env_steps
    return fired


@pytest.mark.parametrize("name", ["digits", "vit_tiny"])
@pytest.mark.parametrize("variant", [None, *METHODS])
def test_each_variant_learns(name: str, variant: str | None, tmp_path: Path) -> None:
    """Alone trains every variant of the warm-start blueprints through its change of phase."""
    fired = learned(FOLDER / f"{name}.toml", small(name), variant, tmp_path)
    assert fired.count("fresh_optimizer") == 1
    own = {"cold_start": "forget", "head_reset": "head", "shrink_and_perturb": "shrink", "hare_tortoise": "hare"}
    assert set(fired) - {"fresh_optimizer"} == ({own[variant]} if variant in own else set())


@pytest.mark.parametrize("name", ["resnet18", "vgg16"])
def test_convolutional_networks_learn_with_their_tortoise(name: str, tmp_path: Path) -> None:
    """Alone trains ResNet-18 and VGG-16 blueprints, on made-up files, through a Hare's reset."""
    assert "hare" in learned(FOLDER / f"{name}.toml", small(name), "hare_tortoise", tmp_path)


@pytest.mark.parametrize("name", ["resnet18", "vgg16", "vit_tiny"])
def test_the_small_variants_learn(name: str, tmp_path: Path) -> None:
    """Alone trains the variants for two cores, on generated pictures."""
    shorter = ["environment.phases=[{ updates = 2, subset = 0.1, label_noise = 0.5 }, {}]", "seeds=[0]"]
    shorter += ["training.env_steps=4", "evaluation.every=4", "checkpoint.every=4", "tracking.kind='none'"]
    shorter += ["environment.data.samples=320", "environment.data.held_out=20"]
    assert learned(FOLDER / f"{name}.toml", shorter, "small", tmp_path) == ["fresh_optimizer"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # ResNet-18 for CIFAR, 11,168,832 before its head; a hidden layer of 512 and ten classes.
        ("resnet18", 11_168_832 + 512 * 513 + 513 * 10),
        # VGG-16 with batch norm, 14,723,136 in its convolutions; two layers of 1,024 on 512 x 2 x 2, 200 classes.
        ("vgg16", 14_723_136 + 1_024 * 2_049 + 1_024 * 1_025 + 200 * 1_025),
        # ViT-Tiny on 64 patches of 4 x 4, 5,354,400 before its head; 100 classes.
        ("vit_tiny", 5_354_400 + 100 * 193),
    ],
)
def test_networks_have_the_sizes_of_their_papers(name: str, parameters: int) -> None:
    """Alone holds ResNet-18, VGG-16 and ViT-Tiny of the blueprints to their papers' counts."""
    outline = load(FOLDER / f"{name}.toml", is_to_run=False).blueprint.outlines["model"]
    assert outline.count() == parameters  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "classes"), [("resnet18", 10), ("vit_tiny", 100), ("vgg16", 3)])
def test_each_network_learns_its_photographs(
    name: str, classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone reads CIFAR-10, CIFAR-100 and Tiny ImageNet as a user brings them into a run, with crops and flips."""
    shrink_cifar(monkeypatch)
    shrink_tiny_imagenet(monkeypatch)
    files = tmp_path / "files"
    files.mkdir()
    if name == "vgg16":
        small_tiny_imagenet(files)
    else:
        small_cifar(files, classes)
    phases = "environment.phases=[{ updates = 3, subset = 0.5, label_noise = 0.5 }, {}]"
    small_one = [*NETWORKS[name][:1], f"networks.model.head.classes={classes}", "algorithm.batch_size=3", *SHORT]
    learned(FOLDER / f"{name}.toml", [f"environment.data.folder='{files}'", phases, *small_one], None, tmp_path)
