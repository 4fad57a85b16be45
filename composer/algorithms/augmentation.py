"""The family of augmentations: random changes of pictures before a loss is computed on them.

The functions are in ``composer.algorithms.losses.augmentation``. Tests: tests/papers/test_augmentation.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.spec.family import Family
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor


class Augmentation(Family, family="augmentation"):
    """A random change of pictures ``[c, h, w]``, drawn anew for every picture of every update."""

    @abstractmethod
    def draws(self) -> Shape:
        """Shape of the unit-normal draws for one picture."""

    @abstractmethod
    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """A function of pictures ``[..., c, h, w]`` and draws ``[..., *draws]`` that returns pictures."""


class RandomShift(Augmentation, kind="random_shift"):
    """Shift by up to ``pad`` pixels along both axes; edge pixels are repeated.

    All ``2 pad + 1`` shifts along an axis are equally likely. Source: DrQ, Kostrikov et al., arXiv:2004.13649.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "random_shift", "pad": 4}

    pad: int = Field(default=4, ge=1, le=64)
    """Pixels; 4 in DrQ, on 84 x 84."""

    @override
    def draws(self) -> Shape:
        return (2,)

    @override
    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        from composer.algorithms.losses.augmentation import random_shift

        return partial(random_shift, pad=self.pad)


class Intensity(Augmentation, kind="intensity"):
    """Multiplication by ``1 + scale * e`` with a unit normal e, clipped to ``[-cut, cut]``.

    Source: SPR, Schwarzer et al., arXiv:2007.05929, which takes it from arXiv:2004.13649; numbers of its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "intensity", "scale": 0.05}

    scale: float = Field(default=0.05, gt=0, le=1)
    """Standard deviation of the factor before clipping."""
    cut: float = Field(default=2.0, gt=0, le=100)
    """Bound of the normal, in standard deviations."""

    @override
    def draws(self) -> Shape:
        return (1,)

    @override
    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        from composer.algorithms.losses.augmentation import intensity

        return partial(intensity, scale=self.scale, cut=self.cut)
