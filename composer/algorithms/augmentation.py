"""The family of augmentations: random changes of pictures before a loss is computed on them.

The functions stand in ``composer.algorithms.losses.augmentation``. Tests: tests/papers/test_augmentation.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from composer.spec.family import Family
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor


class Augmentation(Family, family="augmentation"):
    """A random change of pictures ``[c, h, w]``, each drawn anew for every picture of every update."""

    @abstractmethod
    def draws(self) -> Shape:
        """Shape of the unit normals that one picture takes."""

    @abstractmethod
    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """From pictures ``[..., c, h, w]`` and normals ``[..., *draws]`` to pictures."""


class RandomShift(Augmentation, kind="random_shift"):
    """Moved by up to ``pad`` pixels along both axes, the edges repeated.

    All ``2 pad + 1`` moves along an axis are equally likely. Source: DrQ, Kostrikov et al., arXiv:2004.13649.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "random_shift", "pad": 4}

    pad: int = Field(default=4, ge=1, le=64)
    """Pixels; 4 in DrQ, on 84 x 84."""

    def draws(self) -> Shape:
        """Down and to the right."""
        return (2,)

    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """``composer.algorithms.losses.augmentation.random_shift``."""
        from composer.algorithms.losses.augmentation import random_shift

        return partial(random_shift, pad=self.pad)


class Intensity(Augmentation, kind="intensity"):
    """Multiplied by ``1 + scale * e``, e a unit normal cut at ``cut``.

    Source: SPR, Schwarzer et al., arXiv:2007.05929, which takes it from arXiv:2004.13649; numbers of its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "intensity", "scale": 0.05}

    scale: float = Field(default=0.05, gt=0, le=1)
    """Standard deviation of the factor, before the cut."""
    cut: float = Field(default=2.0, gt=0, le=100)
    """Where the normal is cut, in standard deviations."""

    def draws(self) -> Shape:
        """One."""
        return (1,)

    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """``composer.algorithms.losses.augmentation.intensity``."""
        from composer.algorithms.losses.augmentation import intensity

        return partial(intensity, scale=self.scale, cut=self.cut)
