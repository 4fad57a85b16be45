"""From images and vectors to tokens ``[t, d]``, by reshaping alone.

Tests: tests/networks/test_blocks.py, tests/papers/test_tokens.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from composer.networks.blocks.base import Block, Width, last_axis
from composer.networks.blocks.sizes import within_bounds
from composer.networks.blocks.windows import Pair, image, pair
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class Tokens(Block, kind="tokens"):
    """An image as tokens: ``[c, h, w] -> [t, d]``; it computes nothing.

    ``position``: h w tokens of all channels at one place, row by row (PerConv). ``feature``: c tokens of one channel
    each, ``[c, h w]`` (PerFeat); of a vector ``[n]``, n tokens of one entry. ``sample``: one token of everything, any
    shape (PerSamp). ``patch``: one token a ``patch`` of pixels, channel by channel.
    Source: Obando-Ceron, Sokar et al., arXiv:2402.08609; patches: Dosovitskiy et al., arXiv:2010.11929.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "tokens", "per": "position"}
    example_input: ClassVar[Shape] = (4, 6, 6)

    per: Literal["position", "feature", "sample", "patch"]
    """What becomes one token."""
    patch: Pair | None = None
    """Size of a patch, ``[height, width]`` or one for both; with ``per = "patch"`` alone. It divides the image."""

    @model_validator(mode="after")
    def _patch_where_it_counts(self) -> Self:
        if self.per == "patch" and self.patch is None:
            raise PydanticCustomError("tokens_patch", "per = \"patch\" needs 'patch', the size of one")
        if self.per != "patch" and self.patch is not None:
            raise PydanticCustomError(
                "tokens_patch", "'patch' is for per = \"patch\" alone; 'per' is '{per}'", {"per": self.per}
            )
        return self

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        return Outline(self.kind, shape, self._shape(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.tokens.PatchTokens``, ``torch.nn.Flatten`` or ``torch.nn.Unflatten``."""
        tokens = self._shape(shape)
        if self.per in ("position", "patch"):
            return call("composer.networks.modules.tokens:PatchTokens", self._patch)
        if len(shape) == 1:
            return call("torch.nn:Unflatten", -1, tokens)
        if self.per == "feature":
            return call("torch.nn:Flatten", -2)
        return call(
            "torch.nn:Sequential", call("torch.nn:Flatten", -len(shape)), call("torch.nn:Unflatten", -1, tokens)
        )

    def _shape(self, shape: Shape) -> Shape:
        if self.per == "sample":
            last_axis(shape, self.kind)
            return (1, within_bounds(math.prod(shape), " x ".join(map(str, shape))))
        if self.per == "feature" and len(shape) == 1:
            return (shape[0], 1)
        if len(shape) == 1:
            raise ShapeError(
                f"'tokens' per {self.per} takes an image, [channels, height, width]; its input is a vector of "
                f"{shape[0]}, which 'split_tokens' cuts into tokens"
            )
        channels, height, width = image(shape, self.kind)
        if self.per == "feature":
            return (channels, within_bounds(height * width, f"{height} x {width}"))
        return patch_grid(shape, self._patch, self.kind)

    @property
    def _patch(self) -> tuple[int, int]:
        return pair(self.patch or 1)


class SplitTokens(Block, kind="split_tokens"):
    """A vector cut into tokens of equal width, in order: ``[n] -> [t, d]`` with ``n = t d``; it computes nothing.

    Exactly one of ``count`` (t) and ``width`` (d) is given. A dense layer before it gives a vector that divides.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "split_tokens", "count": 4}

    count: Width | None = None
    """Number of tokens, t."""
    width: Width | None = None
    """Width of a token, d."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.count is None) == (self.width is None):
            given = "neither" if self.count is None else "both"
            raise PydanticCustomError(
                "split_size", "give exactly one of 'count' and 'width'; got {given}", {"given": given}
            )
        return self

    def outline(self, shape: Shape) -> Outline:
        """No parameters; raises ``ShapeError`` where the vector does not divide."""
        return Outline(self.kind, shape, self._shape(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Unflatten``."""
        return call("torch.nn:Unflatten", -1, self._shape(shape))

    def _shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ShapeError(f"{self.kind!r} takes a vector; its input has shape {list(shape)}")
        key, size = ("count", self.count) if self.count is not None else ("width", self.width)
        assert size is not None
        other, rest = divmod(shape[0], size)
        if rest:
            what = f"{size} tokens" if key == "count" else f"tokens of width {size}"
            raise ShapeError(f"a vector of {shape[0]} does not divide into {what}", (key,))
        return (size, other) if key == "count" else (other, size)


def sequence(shape: Shape, kind: str) -> tuple[int, int]:
    """(number of tokens, their width); raises ``ShapeError`` where the input is none."""
    if len(shape) != 2:
        hint = {1: "; 'split_tokens' makes some of a vector", 3: "; 'tokens' and 'patches' make some of an image"}
        raise ShapeError(
            f"{kind!r} takes tokens, [tokens, width]; its input has shape {list(shape)}{hint.get(len(shape), '')}"
        )
    return shape[0], shape[1]


def patch_grid(shape: Shape, patch: tuple[int, int], kind: str) -> Shape:
    """(number of patches, entries of one); raises ``ShapeError`` at ``patch`` where they do not fill the image."""
    channels, height, width = image(shape, kind)
    if height % patch[0] or width % patch[1]:
        raise ShapeError(f"patches of {patch[0]} x {patch[1]} do not fill an image of {height} x {width}", ("patch",))
    count = within_bounds(height // patch[0] * (width // patch[1]), f"patches of an image of {height} x {width}")
    entries = channels * patch[0] * patch[1]
    return count, within_bounds(entries, f"{channels} x {patch[0]} x {patch[1]}", "patch")
