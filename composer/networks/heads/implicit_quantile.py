"""The head of a value whose quantiles are a function of their levels. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import Block
from composer.networks.blocks.linear import Linear
from composer.networks.heads.dense import ReturnHead
from composer.networks.heads.layers import after, after_call, features
from composer.networks.heads.quantile import Kappa
from composer.networks.outline import BufferPlan, Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class ImplicitQuantile(ReturnHead, kind="implicit_quantile"):
    """A return's quantiles at given levels tau: ``[n] -> ([N], [N])``, quantiles and levels, or ``[a, N]`` each.

    Levels are embedded by cosines, ``phi(tau) = ReLU(W cos(pi i tau) + b)``, i = 1 ... ``cosines``, and multiplied into
    the features before ``hidden`` and the last layer. In training mode N levels a sample are drawn uniformly, each
    member of a stack from a stream of its own; in evaluation mode they are the midpoints (i + 1/2) / N, so that values
    do not flicker. Source: IQN, Dabney et al., arXiv:1806.06923, which draws levels for targets and acting too. Its
    sum starts at i = 0, a constant as the bias is; the released code of DeepMind and of Dopamine starts at 1.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "implicit_quantile", "samples": 8, "cosines": 16}

    samples: Annotated[int, Field(ge=1, le=1024)] = 64
    """Levels at which a sample is evaluated, N."""
    cosines: Annotated[int, Field(ge=1, le=1024)] = 64
    """Cosines that embed a level."""
    kappa: Kappa = 1.0
    """Error up to which the loss is quadratic, in units of return; the loss is divided by it; 0: the absolute loss."""
    hidden: Block | None = None
    """A block on the products [N, n], applied to each level; a list is a sequence."""

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Children ``embedding`` and ``output``, on the axis of levels; ``output`` is the shape of each output.

        Operations: two per cosine, two per product of features and embedding.
        """
        width = features(self.kind, shape)
        drawn = Linear(width=width, weight=self.weight, bias_init=self.bias_init)
        embedding = drawn.outline((self.samples, self.cosines))
        output = after(self.hidden, (self.samples, width), lambda given: self._last(given, actions))
        return Outline(
            self.kind,
            shape,
            self.laid_out(actions, self.samples),
            children={"embedding": embedding, "output": output},
            flops=2 * self.samples * (self.cosines + width),
            buffers={"key": BufferPlan("key"), "draws": BufferPlan("counter")},
            layout="leaf",
        )

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``ImplicitQuantileHead``: returns (quantiles [B, N], levels [B, N]), or [B, a, N] each."""
        self.outline(shape, actions)
        width, outputs = shape[0], 1 if self.values == "one" else actions
        return call(
            "composer.networks.modules.heads:ImplicitQuantileHead",
            call("torch.nn:Linear", self.cosines, width),
            after_call(self.hidden, (self.samples, width), lambda given: self.layer_call(given, outputs)),
            self.samples,
            self.cosines,
            self.values == "per_action",
        )

    def returns(self) -> LazyCall:
        """``composer.algorithms.losses.returns.ImplicitQuantile``."""
        return call("composer.algorithms.losses.returns:ImplicitQuantile", self.kappa)

    def _last(self, shape: Shape, actions: int) -> Outline:
        if len(shape) != 2 or shape[0] != self.samples:
            raise ShapeError(
                f"the hidden block must keep the axis of {self.samples} levels and give each a vector; "
                f"its output has shape {list(shape)}",
                ("hidden",),
            )
        return self.layer(shape, 1 if self.values == "one" else actions)
