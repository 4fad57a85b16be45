"""Tiny CLIP models, made from a config and fitted to drawn points with captions; nothing is downloaded.

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

CAPTIONS = tuple(f"a dot at the {down} {across}" for down in DOWN for across in ACROSS)


def make(folder: Path, width: int, layers: int = 1, pictures: int = 0, seed: int = 0) -> Path:
    """A model of this width; returns its folder.

    Its networks are random. With ``pictures`` both projections are fitted to as many captioned points by ridge
    regression, so that picture and caption of the same ninth of the square have one embedding; else they are random.
    """
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(seed)
    sizes: dict[str, Any] = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
    # Initial weights of 3 times the usual size: with smaller ones all texts have nearly one embedding.
    sizes |= {"initializer_factor": 3.0, "num_attention_heads": 2}
    tokenizer = _tokenizer()
    # An end numbered 2 means something else to transformers, which then takes the largest number for it.
    ends = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    text = {**sizes, **ends, "vocab_size": len(tokenizer), "max_position_embeddings": 16}
    vision = {**sizes, "image_size": SIDE, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=len(CAPTIONS))).eval()
    if pictures:
        _fit(model, tokenizer, pictures, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    colours = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    (folder / "preprocessor_config.json").write_text(json.dumps(colours))
    return folder


def points(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.uint8], list[str]]:
    """Random places ``[count, 2]``, pictures of points there ``[count, side, side, 3]``, and their captions."""
    places = np.random.default_rng(seed).uniform(-1, 1, (count, 2))
    return places, np.stack([draw(place) for place in places]), [caption(place) for place in places]


@torch.no_grad()
def _fit(model: Any, tokenizer: Any, pictures: int, seed: int) -> None:
    """Both projections, from features ``[n, width]`` to the caption, one-hot ``[n, 9]``; in float64."""
    tokens = dict(tokenizer(list(CAPTIONS), padding=True, return_tensors="pt"))
    tokens.pop("token_type_ids", None)
    _, drawn, captions = points(pictures, seed)
    seen = (torch.from_numpy(drawn).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    images = torch.cat([model.vision_model(pixel_values=part).pooler_output for part in seen.split(500)]).double()
    texts = model.text_model(**tokens).pooler_output.double()
    each = torch.eye(len(CAPTIONS), dtype=torch.float64)
    wanted = each[torch.tensor([CAPTIONS.index(caption) for caption in captions])]
    ridge = 1e-3 * torch.eye(images.shape[1], dtype=torch.float64)
    model.visual_projection.weight.copy_(torch.linalg.solve(images.T @ images + ridge, images.T @ wanted).T)
    model.text_projection.weight.copy_((torch.linalg.pinv(texts) @ each).T)


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
