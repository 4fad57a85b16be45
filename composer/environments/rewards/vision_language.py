"""Rewards from a vision-language model: the spec. ``clip_judge`` computes them.

Tests: tests/environments/test_vision_language.py.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.environments.rewards.base import RewardModel
from composer.spec.family import Items

if TYPE_CHECKING:
    from composer.environments.rewards.base import Judge

Text = Annotated[str, Field(min_length=1, max_length=1_000)]


class VisionLanguage(RewardModel, kind="vision_language"):
    """How well a picture of the state fits a goal in words, by a contrastive model such as CLIP, frozen.

    With unit embeddings f of the picture and g of texts, the probability of the goal is
    ``p = exp(f.g(goal) / T) / sum exp(f.g(text) / T)`` over the goal and the negatives, and the reward of a decision is
    1 where ``p > threshold``, else 0; without a threshold it is p. Source: Baumli et al., arXiv:2312.09187. Prompts,
    temperature and threshold are not in its abstract, from which this is written: choose the threshold on pictures
    that you have labelled. Needs the extra ``vlm``; a model is read from a folder and never fetched.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "vision_language",
        "model": "/models/clip-vit-base-patch32",
        "goal": "a photo of a ball in a cup",
        "negatives": ["a photo of a ball beside a cup"],
        "threshold": 0.5,
    }

    model: Annotated[str, Field(min_length=1, max_length=4_096)]
    """The folder of a model of transformers with image and text features (CLIP, SigLIP): ``config.json``, weights,
    tokenizer, and ``preprocessor_config.json`` for the mean and deviation of colours, without which they are CLIP's."""
    goal: Text
    """What the picture of a reached goal shows, in words."""
    negatives: Annotated[Items[Text], Field(min_length=1, max_length=1_000)]
    """What other pictures show: the probability of the goal is among these."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 0.01
    """T; CLIP itself was trained down to 0.01."""
    threshold: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Probability above which the reward is 1, and 0 below. Absent: the probability itself is the reward."""
    environment_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """s in ``(1 - s) * reward + s * (the environment's own)``."""
    image_size: Annotated[int, Field(ge=8, le=1024)] = 224
    """Rows and columns of the model's pictures; drawn ones are resized to it and cropped in the middle."""
    batch: Annotated[int, Field(ge=1, le=4096)] = 64
    """Most pictures that are encoded together. All batches are of one size, so that what is beside a picture does not
    touch its reward."""
    cache: Annotated[int, Field(ge=0, le=10**9)] = 10_000
    """Pictures whose probability is kept, the newest ones; 0 keeps none."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; ``auto``: on CUDA where there is some."""

    @property
    @override
    def picture_side(self) -> int:
        return self.image_size

    @override
    def refusal(self) -> tuple[str, str] | None:
        if not (Path(self.model).expanduser() / "config.json").is_file():
            return "model", f"no folder with a config.json: {self.model!r}; models are read from there, never fetched"
        if importlib.util.find_spec("transformers") is None:
            return "kind", 'rewards from vision-language models need transformers: install "rl-composer[vlm]"'
        return None

    @override
    def build(self) -> Judge:
        from composer.environments.interface import UnusableEnvironment
        from composer.environments.rewards.clip_judge import ClipJudge, Settings

        if problem := self.refusal():
            raise UnusableEnvironment(f"reward.{problem[0]}", problem[1])
        return ClipJudge(Settings(**dict(self)))
