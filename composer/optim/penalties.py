"""Penalties: terms of the loss that pull parameters toward zero or toward their first values.

Tests: tests/optim/test_penalties.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.outline import Outline
from composer.networks.parameter_selectors import Selector
from composer.spec.family import Family

if TYPE_CHECKING:
    from torch import Tensor


class Penalty(Family, family="penalty"):
    """``coefficient * sum (w - anchor)^2`` over selected parameters, added to the loss of their role."""

    anchored: ClassVar[bool] = False
    """Whether a copy of each parameter is kept as its anchor, for the memory forecast."""

    where: Selector
    """Which parameters: a selector, or a list of globs over ``role.path``."""
    coefficient: Annotated[float, Field(gt=0, le=1e6)]
    """Factor on the sum."""

    @abstractmethod
    def anchor(self, value: Tensor) -> Tensor | None:
        """The value that a parameter ``[S, C, ...]`` is pulled toward, given its first value; None for zero."""

    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        """Problems with these networks: pairs of key and message."""
        return ((f"where.{key}", message) for key, message in self.where.problems(outlines))


class L2(Penalty, kind="l2"):
    """``coefficient * sum w^2``: through the gradient, and so through an adaptive optimizer, unlike weight decay."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "l2", "where": ["critic.*weight"], "coefficient": 1e-4}

    @override
    def anchor(self, value: Tensor) -> Tensor | None:
        return None


class L2Init(Penalty, kind="l2_init"):
    """``coefficient * sum (w - w_0)^2`` with the first draw ``w_0``. Source: Kumar et al., arXiv:2308.11958."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "l2_init", "where": ["critic.*"], "coefficient": 1e-2}
    anchored: ClassVar[bool] = True

    @override
    def anchor(self, value: Tensor) -> Tensor | None:
        return value.detach().clone()
