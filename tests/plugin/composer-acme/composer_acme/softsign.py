"""A head: a Gaussian policy whose mean is squashed once more, so that it never saturates the tanh after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks import Linear
from composer.networks.heads import Head
from composer.networks.initializers import Initializer, Orthogonal
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class SoftsignGaussian(Head, kind="acme/softsign_gaussian"):
    """Bounded mean and log standard deviation of a Gaussian before its tanh: ``[n] -> ([a], [a])``."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "acme/softsign_gaussian", "reach": 3.0}

    reach: Annotated[float, Field(gt=0, le=100)] = 4.0
    """Bound on the mean's size."""
    weight: Initializer = Orthogonal()
    """Initialiser of both weights, shape [a, n]."""

    @property
    def produces(self) -> str:
        """What SAC reads from its actor."""
        return "tanh_gaussian"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Children ``mean`` and ``log_std``; three operations bound a mean, four a log standard deviation."""
        if len(shape) != 1:
            raise ShapeError(f"the head {self.kind!r} takes a vector; its input has shape {list(shape)}")
        layer = Linear(width=actions, weight=self.weight).outline(shape)
        children = {"mean": layer, "log_std": layer}
        return Outline(self.kind, shape, (actions,), children=children, flops=7 * actions, layout="parallel")

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer_acme.modules.SoftsignHead``."""
        layer = call("torch.nn:Linear", shape[0], actions)
        return call("composer_acme.modules:SoftsignHead", layer, layer, self.reach)
