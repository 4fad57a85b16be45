"""Rewards from vision-language models, arXiv:2312.09187: against a slow reference, in episodes, resumed, refused."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.vlm import drawn_point
from benchmarks.vlm.drawn_point import SIDE, draw
from composer.blueprint import BlueprintError, load
from composer.environments import DmControl, Gymnasium, SimulatorPhases
from composer.environments.base import Simulator
from composer.environments.interface import UnusableEnvironment
from composer.environments.pictures import fitted
from composer.environments.rewards import VisionLanguage, clip_judge
from composer.environments.rewards.clip_judge import ClipJudge

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
TEXTS = ["goal", "one", "two"]
SEEN = 20


class Encoder:
    """Stands in for a model of transformers: the mean colours of the upper left through a fixed matrix."""

    config = SimpleNamespace(vision_config=SimpleNamespace(image_size=SIDE))
    weight = torch.tensor([[1.0, -0.5, 0.2], [0.3, 1.0, -1.0]])
    texts = torch.tensor([[3.0, 0.5], [-1.0, 1.0], [0.2, -2.0]])

    def to(self, device: str) -> None:
        self.device = device

    def get_text_features(self, tokens: Tensor) -> Tensor:
        assert tokens.tolist() == TEXTS_AS_TOKENS
        return self.texts

    def get_image_features(self, pixel_values: Tensor) -> Any:
        assert pixel_values.dtype == torch.float32 and not pixel_values.requires_grad
        self.batch = len(pixel_values)
        return SimpleNamespace(pooler_output=pixel_values[..., :SEEN, :SEEN].mean((2, 3)) @ self.weight.T)


TEXTS_AS_TOKENS = [[4], [3], [3]]


def stand_in(folder: Path, texts: list[str]) -> tuple[Any, dict[str, Tensor]]:
    return Encoder(), {"tokens": torch.tensor([[len(text)] for text in texts])}


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VisionLanguage:
    """A model whose weights are those of ``Encoder``."""
    monkeypatch.setattr(clip_judge, "_load", stand_in)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": MEAN, "image_std": STD}))
    texts = {"goal": TEXTS[0], "negatives": tuple(TEXTS[1:])}
    return VisionLanguage(model=str(tmp_path), **texts, temperature=0.7, image_size=SIDE)


def slow_probability(picture: np.ndarray) -> float:
    """One picture, one text at a time, in Python's floats."""
    colours = [(float(picture[:SEEN, :SEEN, c].mean()) / 255 - MEAN[c]) / STD[c] for c in range(3)]
    image = [sum(w * x for w, x in zip(row, colours, strict=True)) for row in Encoder.weight.tolist()]
    weights = []
    for text in Encoder.texts.tolist():
        dot = sum(a * b for a, b in zip(image, text, strict=True))
        weights.append(math.exp(dot / math.hypot(*image) / math.hypot(*text) / 0.7))
    return weights[0] / sum(weights)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8) // np.array([1, 2, 3])


def test_rewards_are_those_of_a_slow_reference(declared: VisionLanguage) -> None:
    seen, own = pictures(9).astype(np.uint8), np.linspace(-3, 5, 9)
    expected = np.array([slow_probability(each) for each in seen])
    middle = float(np.median(expected))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(declared.build().rewards(own, seen), expected, rtol=1e-5)
    sharp = declared.model_copy(update={"threshold": middle + 1e-9})
    np.testing.assert_array_equal(sharp.build().rewards(own, seen), expected > middle + 1e-9)
    shared = sharp.model_copy(update={"environment_share": 0.25}).build().rewards(own, seen)
    np.testing.assert_allclose(shared, 0.75 * (expected > middle + 1e-9) + 0.25 * own)


def test_pictures_are_encoded_once_in_batches_of_one_size_and_the_oldest_are_forgotten(
    declared: VisionLanguage,
) -> None:
    judge, seen = declared.model_copy(update={"batch": 4, "cache": 6}).build(), pictures(6).astype(np.uint8)
    assert isinstance(judge, ClipJudge)
    first = judge.probabilities(np.concatenate([seen, seen[:3]]))
    assert judge.encoded == 6 and judge._model.batch == 4
    np.testing.assert_array_equal(first[:3], first[6:])
    np.testing.assert_array_equal(judge.probabilities(seen), first[:6])
    assert judge.encoded == 6
    judge.probabilities(pictures(2, seed=1).astype(np.uint8))
    judge.probabilities(seen[2:])
    assert judge.encoded == 8
    np.testing.assert_array_equal(judge.probabilities(seen[:2]), first[:2])
    assert judge.encoded == 10


def environment(declared: VisionLanguage, **more: Any) -> Gymnasium:
    module = drawn_point.__name__
    return Gymnasium(module=module, id="DrawnPoint-v0", reward=declared, action_repeat=2, **more)


def test_steps_are_judged_by_the_state_after_them_the_last_one_of_an_episode_too(declared: VisionLanguage) -> None:
    """Returns stay the environment's own; a resumed environment goes on exactly."""
    made = environment(declared)
    vector, plain = made.make([0, 1], "training"), made.model_copy(update={"reward": None}).make([0, 1], "training")
    vector.reset(), plain.reset()
    actions, ends = np.random.default_rng(0).uniform(-1, 1, (30, 2, 2)).astype(np.float32), 0
    saved, later = {}, []
    for number, action in enumerate(actions):
        step, own = vector.step(action), plain.step(action)
        for row, place in enumerate(step.final_observation.astype(np.float64)):
            assert step.reward[row] == pytest.approx(slow_probability(draw(place)), rel=1e-5)
        np.testing.assert_array_equal(step.episode_return, own.episode_return)
        np.testing.assert_array_equal(step.observation, own.observation)
        ends += int(step.truncated.sum())
        if number == 17:
            saved = {name: value.copy() for name, value in vector.state().items()}
        later += [step.reward.copy()] if number > 17 else []
    assert ends == 4 and np.std(later) > 1e-3
    resumed = made.make([0, 1], "training")
    resumed.load_state(saved)
    np.testing.assert_array_equal([resumed.step(action).reward.copy() for action in actions[18:]], later)


def test_evaluations_write_both_returns(declared: VisionLanguage) -> None:
    made = environment(declared, success={"info": "is_success"})
    assert made.metric == "evaluation/success"
    further = [metric.name for metric in made.further_evaluation_metrics()]
    assert further == ["evaluation/return", "evaluation/sustained_success", "evaluation/learned_return"]
    assert not Gymnasium(id="CartPole-v1").further_evaluation_metrics()


def test_pictures_are_resized_as_torch_resizes_them_and_cropped_in_the_middle() -> None:
    for height, width, side in ((24, 32, 16), (40, 30, 30), (10, 12, 30), (32, 32, 32)):
        picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        large = [round(side * length / min(height, width)) for length in (height, width)]
        tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        wanted = torch.nn.functional.interpolate(tensor, large, mode="bicubic", antialias=True)[0]
        top, left = ((length - side) // 2 for length in large)
        wanted = wanted[:, top : top + side, left : left + side].clamp(0, 255).permute(1, 2, 0)
        assert np.abs(fitted(picture, side, side) - wanted.numpy()).max() < 1.0


def test_what_cannot_be_used_is_refused_with_what_to_do(declared: VisionLanguage, monkeypatch: Any) -> None:
    assert environment(declared).refusal() is None
    key, said = environment(declared.model_copy(update={"model": "/nowhere"})).refusal() or ("", "")
    assert key == "reward.model" and "never fetched" in said
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert declared.refusal() == (
        "kind",
        'rewards from vision-language models need transformers: install "rl-composer[vlm]"',
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(UnusableEnvironment, match=f"this model reads pictures of {SIDE} x {SIDE}, got 64"):
        declared.model_copy(update={"image_size": 64}).build()
    task = DmControl(task="cartpole-swingup")
    phased: Simulator = SimulatorPhases(task=task, phases=({"env_steps": 100}, {}), reward=declared)
    assert [message for key, message in phased.problems(1, 10_000, 1) if key == "environment.reward"]
    assert task.model_copy(update={"reward": declared}).stays_in_thread and not task.stays_in_thread
    with pytest.raises(BlueprintError, match="needs at least 1 entry, has 0"):
        empty = '{ kind = "vision_language", model = "m", goal = "g", negatives = [] }'
        load(Path(__file__).parents[1] / "tiny.toml", [f"environment.reward={empty}"])


@pytest.mark.slow
def test_a_real_model_is_read_from_its_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow: imports transformers. A tiny CLIP with random weights against its own forward pass, one picture each.

    No socket is opened. What stands beside a picture in its batch does not touch its probability, bit for bit.
    """
    pytest.importorskip("transformers")
    from transformers import AutoModel, AutoTokenizer

    from benchmarks.vlm.tiny_clip import CAPTIONS, make, points

    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it looks for a network"))
    folder = make(tmp_path / "model", width=16, layers=2)
    texts = {"goal": CAPTIONS[-1], "negatives": CAPTIONS[:-1]}
    made = VisionLanguage(model=str(folder), **texts, image_size=SIDE, batch=8)
    judge, other = made.build(), made.build()
    assert isinstance(judge, ClipJudge) and isinstance(other, ClipJudge)
    _, seen, _ = points(8, seed=1)
    model, tokens = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    model.logit_scale.data.fill_(math.log(1 / 0.01))
    words = tokens([CAPTIONS[-1], *CAPTIONS[:-1]], padding=True, return_tensors="pt")
    found, expected = judge.probabilities(seen), []
    for picture in seen:
        pixels = (torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25
        with torch.no_grad():
            output = model(pixel_values=pixels, input_ids=words["input_ids"], attention_mask=words["attention_mask"])
        expected.append(float(output.logits_per_image.softmax(-1)[0, 0]))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    _, beside, _ = points(8, seed=2)
    for index in range(8):
        mixed = beside.copy()
        mixed[(index + 3) % 8] = seen[index]
        assert other.probabilities(mixed)[(index + 3) % 8] == found[index]
