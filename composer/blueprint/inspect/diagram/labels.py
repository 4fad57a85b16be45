"""Texts of a figure: kinds, shapes and counts."""

from __future__ import annotations

import math

from composer.blueprint.inspect.diagram.sketch import Tone
from composer.networks.outline import Outline
from composer.spec.quantities import scaled
from composer.spec.shape import Shape

_NAMES = {"rs_norm": "RSNorm"}
_WORDS = {
    "crelu": "CReLU",
    "elu": "ELU",
    "gaussian": "Gaussian",
    "gelu": "GELU",
    "moe": "MoE",
    "prelu": "PReLU",
    "relu": "ReLU",
    "rms": "RMS",
    "silu": "SiLU",
    "top1": "top-1",
}
_SIGNS = {"sum": "+", "multiply": "×", "concatenate": "concat"}
# Mean width of a letter in sizes of the font, generous: a box must hold its text in other fonts too.
_LETTER = 0.65


def kind_name(kind: str) -> str:
    """``layer_norm`` as ``Layer norm``; a plug-in's ``acme/fourier`` as ``Fourier``."""
    name = kind.rpartition("/")[2]
    words = " ".join(_WORDS.get(word, word) for word in name.split("_"))
    return _NAMES.get(name, words[:1].upper() + words[1:])


def box_name(outline: Outline) -> str:
    """The kind; of a convolution its window too: ``Conv 3 × 3``."""
    windows = [plan.shape[2:] for plan in outline.parameters.values() if len(plan.shape) > 2]
    window = f" {shape_label(windows[0])}" if windows else ""
    return kind_name(outline.kind) + window


def head_name(outline: Outline) -> str:
    """The name of a head: ``Scalar head``."""
    return f"{kind_name(outline.kind)} head"


def join_sign(join: str) -> str:
    """The sign where paths meet that are joined so, such as ``sum``; of a plug-in's word the words."""
    word = join.rpartition("/")[2]
    return _SIGNS.get(word, word.replace("_", " "))


def shape_label(shape: Shape) -> str:
    """``65 × 192``; a scalar is ``1``."""
    return " × ".join(map(str, shape)) or "1"


def count_label(outline: Outline) -> str:
    """Parameters below, exact as long as that is short."""
    count = outline.count()
    if not count:
        return ""
    text = f"{count:,}" if count < 10_000 else scaled(count)
    return f"{text} frozen" if not outline.count(trainable_only=True) else text


def tone(outline: Outline) -> Tone:
    """The colour of a block, by the parameters it holds."""
    axes = [len(plan.shape) for _, plan in outline.named_parameters() if math.prod(plan.shape)]
    return "weights" if max(axes, default=0) > 1 else "vectors" if axes else "plain"


def text_width(text: str, size: float) -> float:
    """Points that a line of text may take in a font of ``size``."""
    return _LETTER * size * len(text)
