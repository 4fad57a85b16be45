"""Tiny CLIP models, made from a config and trained on drawn points with captions; nothing is downloaded.

They are what a user's folder of a model looks like: ``config.json``, weights, tokenizer, mean and deviation of colours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.vlm.drawn_point import ACROSS, DOWN, SIDE, caption, draw

TEMPERATURE = 0.1
CAPTIONS = tuple(f"a dot at the {down} {across}" for down in DOWN for across in ACROSS)


def make(folder: Path, width: int, layers: int, steps: int = 0, seed: int = 0) -> Path:
    """A model of this width, trained for ``steps`` batches on captions of random points; returns its folder."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(seed)
    sizes: dict[str, Any] = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
    sizes["initializer_factor"] = 10.0  # With 1, networks this narrow stay where all texts have one embedding.
    tokenizer = _tokenizer()
    # An end numbered 2 means something else to transformers, which then takes the largest number for it.
    ends = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    text = {**sizes, **ends, "num_attention_heads": 2, "vocab_size": len(tokenizer), "max_position_embeddings": 16}
    vision = {**sizes, "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=width))
    _train(model, tokenizer, steps, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    colours = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    (folder / "preprocessor_config.json").write_text(json.dumps(colours))
    return folder


def points(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.uint8], list[str]]:
    """Random places ``[count, 2]``, pictures of points there ``[count, side, side, 3]``, and their captions."""
    places = np.random.default_rng(seed).uniform(-1, 1, (count, 2))
    return places, np.stack([draw(place) for place in places]), [caption(place) for place in places]


def _train(model: Any, tokenizer: Any, steps: int, seed: int) -> None:
    """Cross-entropy of the captions by the similarities of both embeddings over ``TEMPERATURE``."""
    tokens = dict(tokenizer(list(CAPTIONS), padding=True, return_tensors="pt"))
    tokens.pop("token_type_ids", None)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(steps):
        _, pictures, captions = points(64, seed * 100_000 + step)
        seen = (torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
        images = model.get_image_features(pixel_values=seen).pooler_output
        texts = model.get_text_features(**tokens).pooler_output
        units = [torch.nn.functional.normalize(each, dim=-1) for each in (images, texts)]
        wanted = torch.tensor([CAPTIONS.index(each) for each in captions])
        loss = torch.nn.functional.cross_entropy(units[0] @ units[1].T / TEMPERATURE, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _tokenizer() -> Any:
    """One token for each word of the captions."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unknown>", "<start>", "<end>", *dict.fromkeys(" ".join(CAPTIONS).split())]
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unknown>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 2), ("<end>", 3)]
    )
    names = {"pad_token": "<pad>", "bos_token": "<start>", "eos_token": "<end>", "unk_token": "<unknown>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)
