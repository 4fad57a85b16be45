"""Initialisers of parameters, for first weights, resets and recycled units.

Every draw is a float32 CPU tensor from the given generator, so that a value depends on its own stream alone.
Tests: tests/papers/test_initializers.py.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.spec.family import Family
from composer.spec.shape import Shape, ShapeError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Standard deviation of a unit normal that is cut at two of its own; dividing by it restores the wanted variance.
TRUNCATED_STD = 0.87962566103423978
CUT = 2.0


class Initializer(Family, family="initializer"):
    """How a fresh parameter is drawn."""

    minimum_axes: ClassVar[int] = 0

    @abstractmethod
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        """A fresh float32 CPU tensor of ``shape``; ``fan_in`` and ``fan_out`` count the layer's inputs and outputs."""

    def check(self, shape: Shape) -> None:
        """Raise ``ShapeError`` where a parameter of this shape cannot be drawn."""
        if len(shape) < self.minimum_axes:
            raise ShapeError(
                f"the initialiser {self.kind!r} needs a parameter with at least {self.minimum_axes} axes; "
                f"this one has shape {list(shape)}"
            )


class Zeros(Initializer, kind="zeros"):
    """All entries 0."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "zeros"}

    @override
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        import torch

        return torch.zeros(shape, dtype=torch.float32)


class Ones(Initializer, kind="ones"):
    """All entries 1."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "ones"}

    @override
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        import torch

        return torch.ones(shape, dtype=torch.float32)


class Constant(Initializer, kind="constant"):
    """All entries ``value``."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "constant", "value": 0.1}

    value: float = Field(ge=-1e6, le=1e6)
    """The value of every entry."""

    @override
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        import torch

        return torch.full(shape, self.value, dtype=torch.float32)


class Orthogonal(Initializer, kind="orthogonal"):
    """Orthonormal rows or columns (whichever are fewer) times ``gain``, uniform over all such matrices.

    A weight ``[out, in, ...]`` is treated as a matrix of ``out`` rows. The signs of the triangular factor are moved
    into the orthogonal one, without which the draw is not uniform. Source: Saxe et al., arXiv:1312.6120; Mezzadri,
    arXiv:math-ph/0609050 (signs).
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "orthogonal", "gain": 1.4142135623730951}
    minimum_axes: ClassVar[int] = 2

    gain: float = Field(default=1.0, gt=0, le=100)
    """Factor on the orthonormal matrix: every singular value of the weight."""

    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        """A draw in float64, rounded once; raises ``ShapeError`` below two axes."""
        import torch

        self.check(shape)
        rows, columns = shape[0], math.prod(shape[1:])
        tall = torch.randn(max(rows, columns), min(rows, columns), dtype=torch.float64, generator=generator)
        orthonormal, triangular = torch.linalg.qr(tall)
        orthonormal = orthonormal * torch.sign(triangular.diagonal())
        matrix = orthonormal if rows >= columns else orthonormal.mT
        weight: Tensor = (self.gain * matrix).reshape(shape).to(torch.float32)
        return weight.contiguous()


class Normal(Initializer, kind="normal"):
    """Normal of mean 0 and standard deviation ``std``, not cut, whatever the fans."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "normal", "std": 0.02}

    std: float = Field(gt=0, le=1e4)
    """Standard deviation."""

    @override
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        import torch

        return self.std * torch.randn(shape, dtype=torch.float32, generator=generator)


class HeNormal(Initializer, kind="he_normal"):
    """Normal of variance ``scale / fan_in``, cut at two standard deviations of the uncut normal.

    The variance is that of the cut distribution, as in JAX's ``he_normal``; torch's ``kaiming_normal_`` does not cut.
    Source: He et al., arXiv:1502.01852.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "he_normal"}

    scale: float = Field(default=2.0, gt=0, le=100)
    """Variance times ``fan_in``: 2 keeps the second moment through a ReLU."""

    @override
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        return _truncated_normal(shape, self.scale / fan_in, generator)


class LecunNormal(Initializer, kind="lecun_normal"):
    """Normal of variance ``1 / fan_in``, cut at two standard deviations of the uncut normal.

    Source: LeCun et al., Efficient BackProp, 1998; the cut is JAX's.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "lecun_normal"}

    @override
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        return _truncated_normal(shape, 1.0 / fan_in, generator)


class XavierUniform(Initializer, kind="xavier_uniform"):
    """Uniform of variance ``gain**2 * 2 / (fan_in + fan_out)`` around 0.

    Source: Glorot and Bengio, AISTATS 2010, Eq. 16.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "xavier_uniform"}

    gain: float = Field(default=1.0, gt=0, le=100)
    """Factor on the standard deviation."""

    @override
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        return _uniform(shape, self.gain * math.sqrt(6.0 / (fan_in + fan_out)), generator)


class XavierNormal(Initializer, kind="xavier_normal"):
    """Normal of variance ``gain**2 * 2 / (fan_in + fan_out)``, cut at two standard deviations of the uncut normal.

    The variance is that of the cut distribution, as in JAX's; torch's ``xavier_normal_`` does not cut.
    Source: Glorot and Bengio, AISTATS 2010.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "xavier_normal"}

    gain: float = Field(default=1.0, gt=0, le=100)
    """Factor on the standard deviation."""
    cut: bool = True
    """Whether it is cut; false: as torch draws it."""

    @override
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        variance = self.gain**2 * 2.0 / (fan_in + fan_out)
        if self.cut:
            return _truncated_normal(shape, variance, generator)
        import torch

        return torch.empty(shape, dtype=torch.float32).normal_(0.0, math.sqrt(variance), generator=generator)


class UniformFanIn(Initializer, kind="uniform_fan_in"):
    """Uniform between minus and plus ``1 / sqrt(fan_in)``: what ``torch.nn.Linear`` draws for weight and bias."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "uniform_fan_in"}

    @override
    def draw(self, shape: Shape, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
        return _uniform(shape, 1.0 / math.sqrt(fan_in), generator)


def _uniform(shape: Shape, bound: float, generator: torch.Generator) -> Tensor:
    import torch

    return torch.empty(shape, dtype=torch.float32).uniform_(-bound, bound, generator=generator)


def _truncated_normal(shape: Shape, variance: float, generator: torch.Generator) -> Tensor:
    import torch

    # In float64, because the inverse error function of a float32 uniform has few distinct values near the cut.
    reach = math.erf(CUT / math.sqrt(2.0))
    uniform = torch.empty(shape, dtype=torch.float64).uniform_(-reach, reach, generator=generator)
    unit = torch.erfinv(uniform) * math.sqrt(2.0)
    return (unit * (math.sqrt(variance) / TRUNCATED_STD)).to(torch.float32)
