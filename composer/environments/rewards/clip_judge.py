"""Rewards from a vision-language model of transformers, on the device, in batches of one size, cached by picture.

Source: Baumli et al., arXiv:2312.09187. Legend: n pictures, L texts, e entries of an embedding.
Tests: tests/environments/test_vision_language.py.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from composer.environments.interface import UnusableEnvironment
from composer.spec.calls import in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray


CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of colours from 0 to 1, for a folder that names none."""


class Settings(NamedTuple):
    """Those of ``VisionLanguage``, by the same names."""

    model: str
    goal: str
    negatives: tuple[str, ...]
    temperature: float
    threshold: float | None
    environment_share: float
    image_size: int
    batch: int
    cache: int
    device: str


class ClipJudge:
    """A frozen image encoder, and the embeddings of the goal and its negatives."""

    def __init__(self, declared: Settings) -> None:
        """Loads the model of ``declared``. Raises UnusableEnvironment."""
        self._declared, folder = declared, Path(declared.model).expanduser()
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = found if declared.device == "auto" else declared.device
        self._model, tokens = _load(folder, [declared.goal, *declared.negatives])
        side = self._model.config.vision_config.image_size
        if side != declared.image_size:
            message = f"this model reads pictures of {side} x {side}, got {declared.image_size}: set it to {side}"
            raise UnusableEnvironment("reward.image_size", message)
        self._model.to(self._device)
        self._mean, self._std = (torch.tensor(each, device=self._device).view(3, 1, 1) for each in _colours(folder))
        with torch.inference_mode():
            tokens = {name: value.to(self._device) for name, value in tokens.items()}
            self._texts = _unit(self._model.get_text_features(**tokens))
        self._kept: OrderedDict[bytes, float] = OrderedDict()
        self.encoded = 0
        """Pictures encoded so far, those that fill a batch not counted."""

    def rewards(self, own: NDArray[np.float64], pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        """``(1 - s) * reward + s * own``, ``[n]``."""
        declared = self._declared
        found = self.probabilities(pictures)
        if declared.threshold is not None:
            found = (found > declared.threshold).astype(np.float64)
        share = declared.environment_share
        return (1 - share) * found + share * own if share else found

    def probabilities(self, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The probability of the goal among all texts, ``[n]``, for ``pictures [n, side, side, 3]``."""
        keys = [hashlib.blake2b(picture.tobytes(), digest_size=16).digest() for picture in pictures]
        told = {key: self._kept[key] for key in keys if key in self._kept}
        new = {key: index for index, key in enumerate(keys) if key not in told}
        size, wanted = min(self._declared.batch, len(pictures)), [*new.items()]
        for start in range(0, len(wanted), size):
            part = wanted[start : start + size]
            encoded = self._encode(pictures, [index for _, index in part], size)
            told.update((key, value) for (key, _), value in zip(part, encoded, strict=True))
        for key in dict.fromkeys(keys):
            self._kept[key] = told[key]
            self._kept.move_to_end(key)
        while len(self._kept) > self._declared.cache:
            self._kept.popitem(last=False)
        return np.array([told[key] for key in keys])

    @torch.inference_mode()
    def _encode(self, pictures: NDArray[np.uint8], rows: list[int], size: int) -> list[float]:
        """Probabilities of some pictures, filled up with black ones to a batch of ``size``."""
        self.encoded += len(rows)
        batch = np.zeros((size, *pictures.shape[1:]), np.uint8)
        batch[: len(rows)] = pictures[rows]
        seen = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float() / 255
        images = _unit(self._model.get_image_features(pixel_values=(seen - self._mean) / self._std))
        # A product per picture, not one of matrices: sums in an order that does not follow the size of the batch.
        similar = (images[:, None] * self._texts).sum(-1) / self._declared.temperature
        found: list[float] = similar.double().softmax(-1)[: len(rows), 0].tolist()
        return found


def _load(folder: Path, texts: list[str]) -> tuple[Any, dict[str, Tensor]]:
    """The frozen model, and its tokens of texts ``[L, length]``, from files alone."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        files_alone = {"local_files_only": True}
        config = AutoConfig.from_pretrained(folder, **files_alone)
        tokenizer = AutoTokenizer.from_pretrained(folder, **files_alone)
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, **files_alone)
        # SigLIP was trained on texts of one length; CLIP reads none beyond its own.
        padding, longest = "max_length" if "siglip" in config.model_type else True, config.text_config
        length = longest.max_position_embeddings
        tokens = tokenizer(texts, padding=padding, truncation=True, max_length=length, return_tensors="pt")
        for name in ("get_image_features", "get_text_features"):
            getattr(model, name)
        model.config.vision_config.image_size  # noqa: B018 - a model without one cannot be used
    except Exception as error:
        raise UnusableEnvironment("reward.model", f"{folder} cannot be loaded: {in_words(error)}") from error
    return model.eval().requires_grad_(False), {name: tokens[name] for name in tokens if name != "token_type_ids"}


def _unit(features: Any) -> Tensor:
    """Embeddings ``[.., e]`` of unit length; transformers 5 wraps them."""
    values: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return torch.nn.functional.normalize(values, dim=-1)


def _colours(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the model's colours."""
    found = folder / "preprocessor_config.json"
    named = json.loads(found.read_text(encoding="utf-8")) if found.is_file() else {}
    return tuple(named.get("image_mean", CLIP_MEAN)), tuple(named.get("image_std", CLIP_STD))
