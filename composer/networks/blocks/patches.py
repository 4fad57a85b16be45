"""Patches of an image as tokens. Tests: tests/networks/test_blocks.py, tests/papers/test_tokens.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, Width, plan
from composer.networks.blocks.tokens import patch_grid
from composer.networks.blocks.windows import Pair, pair
from composer.networks.initializers import Initializer, LecunNormal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Patches(Block, kind="patches"):
    """Patches of an image, each mapped to a token by one dense layer: ``[c, h, w] -> [t, width]``, row by row.

    The same as a convolution whose stride is its kernel, its weight's last three axes made one. Where patches do not
    fill the image, such a ``conv`` leaves the rest out; ``tokens`` per position follows it.
    Operations: two per weight and patch, one per bias and patch. Source: Dosovitskiy et al., arXiv:2010.11929, Eq. 1.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "patches", "patch": 3, "width": 16}
    example_input: ClassVar[Shape] = (4, 6, 6)

    patch: Pair
    """Size of a patch, ``[height, width]`` or one for both; it divides the image."""
    width: Width
    """Width of a token."""
    bias: bool = True
    """Whether a bias is added."""
    weight: Initializer = LecunNormal()
    """Initialiser of the weight, shape [width, c x patch height x patch width]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [width]; it counts the weight's fans."""

    def outline(self, shape: Shape) -> Outline:
        """Parameters ``weight`` and ``bias``."""
        count, entries = patch_grid(shape, pair(self.patch), self.kind)
        parameters = {"weight": plan((self.width, entries), self.weight, entries, self.width, "weight")}
        if self.bias:
            parameters["bias"] = plan((self.width,), self.bias_init, entries, self.width, "bias_init")
        flops = count * self.width * (2 * entries + self.bias)
        return Outline(self.kind, shape, (count, self.width), parameters, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.tokens.PatchEmbedding``."""
        self.outline(shape)
        return call(
            "composer.networks.modules.tokens:PatchEmbedding", shape[0], pair(self.patch), self.width, bias=self.bias
        )
