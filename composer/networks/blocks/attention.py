"""Multi-head self-attention. Tests: tests/networks/test_blocks.py, tests/papers/test_attention.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from composer.networks.blocks.base import Block, Width, plan
from composer.networks.blocks.linear import Linear
from composer.networks.blocks.scaler import Factor
from composer.networks.blocks.sizes import within_bounds
from composer.networks.blocks.tokens import sequence
from composer.networks.initializers import Constant, Initializer, XavierUniform, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError, located


class Attention(Block, kind="attention"):
    """Multi-head self-attention: ``[t, d] -> [t, d]``, every token seeing all: ``softmax(Q K^T / sqrt(d_k)) V``.

    Queries, keys and values of each head are dense maps of the tokens to ``head_width`` (d_k) entries; the heads side
    by side pass one more dense layer. Dropout, norm and residual path are blocks of their own around it.
    ``qk_norm`` is nGPT's: queries and keys have unit norm in each head and are multiplied by one learned vector, which
    starts at 1; the softmax is of ``sqrt(d_k) Q K^T``. Operations: those of the dense layers, four per pair of tokens
    and entry of a head, six per pair of tokens and head. Source: Vaswani et al., arXiv:1706.03762; Xavier weights as in
    ViT's released code; nGPT, Loshchilov et al., arXiv:2410.01131.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "attention", "heads": 4}
    example_input: ClassVar[Shape] = (3, 16)

    heads: Annotated[int, Field(ge=1, le=1024)]
    """Number of heads."""
    head_width: Width | None = None
    """Entries of a query, key or value in a head; absent, the tokens' width divided among the heads."""
    qkv_bias: bool = True
    """Whether queries, keys and values have biases."""
    bias: bool = True
    """Whether the last dense layer has one."""
    weight: Initializer = XavierUniform()
    """Initialiser of the four weights: [heads x head_width, d] of the first three, [d, heads x head_width] last."""
    bias_init: Initializer = Zeros()
    """Initialiser of the biases."""
    probabilities: Block | None = None
    """A block on the attention probabilities [heads, t, t], such as dropout; it keeps their shape."""
    qk_norm: bool = False
    """Whether queries and keys are normalised and scaled as in nGPT."""
    qk_scale: Factor = 1.0
    """With ``qk_norm``: first value of the learned vector's parameter, as ``scale`` of ``scaler``."""
    unit_norm: bool = False
    """Whether weights are kept at unit norm along the tokens' axis d, as hyperspherical networks do."""

    @model_validator(mode="after")
    def _scale_where_it_counts(self) -> Self:
        if self.qk_scale != 1.0 and not self.qk_norm:
            raise PydanticCustomError("attention_scale", "'qk_scale' is used with qk_norm = true alone")
        return self

    def outline(self, shape: Shape) -> Outline:
        """Children ``query``, ``key``, ``value``, ``output`` and ``probabilities``; parameter ``qk_scaler``."""
        tokens, _ = sequence(shape, self.kind)
        width = self._head_width(shape)
        inner = self.heads * width
        children = {name: self._dense(inner, shape, self.qkv_bias, "rows") for name in ("query", "key", "value")}
        # Unit columns here and unit rows there: both are vectors of the tokens' axis d.
        children["output"] = self._dense(shape[-1], (tokens, inner), self.bias, "columns")
        if self.probabilities is not None:
            children["probabilities"] = self._on_probabilities((self.heads, tokens, tokens))
        parameters = {}
        if self.qk_norm:
            parameters["qk_scaler"] = plan((inner,), Constant(value=self.qk_scale), inner, inner, "qk_scale")
        flops = self.heads * tokens**2 * (4 * width + 6)
        return Outline(self.kind, shape, shape, parameters, children, flops, layout="leaf")

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.attention.Attention``."""
        self.outline(shape)
        tokens, _ = sequence(shape, self.kind)
        options: dict[str, Any] = {"qk_scale": self.qk_scale} if self.qk_norm else {}
        if self.probabilities is not None:
            options["probabilities"] = self.probabilities.module((self.heads, tokens, tokens))
        return call(
            "composer.networks.modules.attention:Attention",
            shape[-1],
            self.heads,
            self._head_width(shape),
            qkv_bias=self.qkv_bias,
            bias=self.bias,
            **options,
        )

    def _head_width(self, shape: Shape) -> int:
        if self.head_width is not None:
            within_bounds(self.heads * self.head_width, f"{self.heads} x {self.head_width}", "head_width")
            return self.head_width
        if shape[-1] % self.heads:
            raise ShapeError(
                f"tokens of width {shape[-1]} do not divide among {self.heads} heads; 'head_width' gives theirs",
                ("heads",),
            )
        return shape[-1] // self.heads

    def _dense(self, width: int, shape: Shape, bias: bool, unit: Literal["rows", "columns"]) -> Outline:
        norm = unit if self.unit_norm else None
        dense = Linear(width=width, bias=bias, unit_norm=norm, weight=self.weight, bias_init=self.bias_init)
        return dense.outline(shape)

    def _on_probabilities(self, shape: Shape) -> Outline:
        assert self.probabilities is not None
        with located("probabilities"):
            outline = self.probabilities.outline(shape)
        if outline.output != shape:
            raise ShapeError(
                f"a block on attention probabilities must keep their shape {list(shape)}; "
                f"its output is {list(outline.output)}",
                ("probabilities",),
            )
        if outline.stops_gradients:
            raise ShapeError(
                f"no gradient passes {outline.kind!r}, so that no query or key would be trained", ("probabilities",)
            )
        return outline
