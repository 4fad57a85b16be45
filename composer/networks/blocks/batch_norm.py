"""Batch norm and batch renorm: in training mode every sample depends on its batch.

Tests: tests/networks/test_blocks.py, tests/papers/test_batch_statistics.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from composer.networks.blocks.base import Epsilon
from composer.networks.blocks.channels import Norm, check_gain, features
from composer.networks.outline import BufferPlan
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape
from composer.spec.without import Without

Momentum = Annotated[float, Field(ge=0, lt=1)]
_MOMENTS = {"running_mean": 0.0, "running_var": 1.0}
"""Running statistics, with their first values."""


class BatchStatisticsNorm(Norm, abstract=True):
    """A norm by the moments of a batch."""

    normalises = "batch"

    unit_norm: Annotated[bool, Without(False)] = False
    """Whether each step of the optimizer leaves gains and shifts together at the norm of gains of 1, the root of their
    number (FlashSAC, arXiv:2604.04539)."""

    @model_validator(mode="after")
    def _has_gain(self) -> Self:
        check_gain(self.unit_norm, self.affine)
        return self

    @property
    @override
    def keeps_norm(self) -> bool:
        return self.unit_norm


class BatchNorm(BatchStatisticsNorm, kind="batch_norm"):
    """Unit moments of each feature over the batch, then gain and shift: ``[..., n] -> [..., n]``, ``[c, h, w]`` alike.

    Features are the channels of an image, else the last axis; moments run over every other axis and the batch. In
    evaluation mode running moments take their place, so that samples do not mix; averages of networks average
    them. The variance that normalises is the population's, ``epsilon`` inside the root. ``momentum`` is the share
    kept, as in JAX: torch's ``momentum`` is one minus it. Seven operations per entry (five without gain and shift).
    Source: Ioffe and Szegedy, arXiv:1502.03167.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "batch_norm"}
    operations = 5

    epsilon: Epsilon = 1e-5
    """Added to the variance."""
    momentum: Momentum = 0.9
    """Share of the running moments kept at each training pass."""
    unbiased: bool = False
    """Whether the running variance follows the batch's with Bessel's correction, as paper and torch; JAX does not."""

    @override
    def buffers(self, width: int) -> dict[str, BufferPlan]:
        return {name: BufferPlan("statistic", (width,), start) for name, start in _MOMENTS.items()}

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.batch_norm.BatchNorm``."""
        keys = {"epsilon": self.epsilon, "momentum": self.momentum, "affine": self.affine, "unbiased": self.unbiased}
        return call("composer.networks.modules.batch_norm:BatchNorm", *features(shape, self.kind), **keys)


class BatchRenorm(BatchStatisticsNorm, kind="batch_renorm"):
    """Batch norm corrected to agree with its evaluation mode: shapes as ``batch_norm``.

    In training mode the normalised batch is multiplied by ``r`` and moved by ``d``, constants to the gradient, which
    would make it the result of the running moments; ``r`` stays in [1 / r_max, r_max] and ``d`` in [-d_max, d_max]. For
    the first ``warm_up`` training passes ``r = 1`` and ``d = 0``: batch norm. Defaults are those of CrossQ,
    arXiv:1902.05605; like its code, and unlike the paper, this switches the bounds on at once and keeps a running
    variance, not a running deviation. Nine operations per entry (seven without gain and shift).
    Source: Ioffe, arXiv:1702.03275.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "batch_renorm", "warm_up": 0}
    operations = 7

    epsilon: Epsilon = 1e-3
    """Added to the variance."""
    momentum: Momentum = 0.99
    """Share of the running moments kept at each training pass."""
    r_max: Annotated[float, Field(ge=1, le=1e6)] = 3.0
    """Bound on the factor and its inverse."""
    d_max: Annotated[float, Field(ge=0, le=1e6)] = 5.0
    """Bound on the shift, in running standard deviations."""
    warm_up: Annotated[int, Field(ge=0, le=1_000_000_000)] = 100_000
    """Training passes without correction."""
    corrects: Literal["output", "moments"] = "output"
    """Where the correction enters. ``output``: the normalised batch, as in the paper. ``moments``: what normalises it,
    mean ``m - d s / r`` and variance ``s^2 / r^2`` for the batch's mean m and deviation s, as in CrossQ's code, where
    ``epsilon`` is added after the correction."""

    @override
    def buffers(self, width: int) -> dict[str, BufferPlan]:
        statistics = {name: BufferPlan("statistic", (width,), start) for name, start in _MOMENTS.items()}
        return statistics | {"steps": BufferPlan("counter")}

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.batch_renorm.BatchRenorm``."""
        keys = {"epsilon": self.epsilon, "momentum": self.momentum, "affine": self.affine}
        bounds: dict[str, float] = {"r_max": self.r_max, "d_max": self.d_max, "warm_up": self.warm_up}
        if self.corrects == "moments":
            bounds["corrects_moments"] = True
        return call("composer.networks.modules.batch_renorm:BatchRenorm", *features(shape, self.kind), **keys, **bounds)
