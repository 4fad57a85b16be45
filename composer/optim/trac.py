"""TRAC: a parameter-free scale around any optimizer. Tests: tests/papers/test_trac.py."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.optim.base import Optimizer
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.trac_steps import TracState


class Trac(Optimizer, kind="trac"):
    """TRAC: the base optimizer's distance from the first weights ``w_0``, times a scale that is learned online.

    ``w <- w_0 + max(S, 0) (d + u)`` with the base's step ``u`` at ``w``, ``d = (w - w_0) / (S + e)`` and ``S`` the sum
    of six scales ``s_b``, b = 0.9, 0.99, ..., 0.999999. With the gradient ``g`` at ``w`` and ``h = d . g`` over all
    parameters of the optimizer, copies included: ``v <- b^2 v + h^2``, ``q <- b q - h``,
    ``s_b = e erfi(q / (sqrt(2 v) + e)) / erfi(1 / sqrt 2)``, and ``e = 1e-8``, also the first ``q``. Every seed has
    its own scales. The first steps are tiny: ``S`` begins near ``6 e``. A reset of weights leaves ``w_0``.
    Source: Muppidi et al., arXiv:2405.16642, as in the authors' released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "trac", "base": {"kind": "adam", "learning_rate": 3e-4}}

    keeps_first_values: ClassVar[bool] = True

    base: Optimizer
    """The optimizer that is scaled."""

    @field_validator("base")
    @classmethod
    def _takes_one_gradient(cls, base: Optimizer) -> Optimizer:
        if base.takes_two_gradients or isinstance(base, Trac):
            raise PydanticCustomError(
                "trac_base", "'base' is the optimizer that is scaled; it cannot be '{kind}'", {"kind": base.kind}
            )
        return base

    @override
    def without(self) -> Optimizer:
        """The base optimizer."""
        return self.base

    @property
    @override
    def stepping(self) -> Optimizer:
        return self.base

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> TracState:
        from composer.optim.trac_steps import TracState

        return TracState(parameters, self.base.build(parameters, hyperparameters, keys))

    @override
    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        return ((f"base.{key}", message) for key, message in self.base.problems(paths))

    @override
    def moments(self) -> int:
        return 1 + self.base.moments()

    @override
    def entries(self, shapes: Mapping[str, Shape]) -> int:
        return sum(math.prod(shape) for shape in shapes.values()) + self.base.entries(shapes)
