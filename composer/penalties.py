"""Penalties: terms added to the loss of a network that pull its parameters somewhere, within the captured update.

Tests: tests/interventions/test_penalties.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from composer.interventions.selectors import Selector
from composer.shapes import Outline
from composer.spec import Family

if TYPE_CHECKING:
    from torch import Tensor


class Penalty(Family, family="penalty"):
    """A sum over parameters, added to the loss of each seed and network that they belong to."""

    anchored: ClassVar[bool] = False
    """Whether a copy of each parameter is kept for the whole run."""

    where: Selector
    """Which parameters: a selector, or a list of globs over ``role.path``."""
    coefficient: Annotated[float, Field(gt=0, le=1e6)]
    """Factor on the sum."""

    @abstractmethod
    def anchor(self, value: Tensor) -> Tensor | None:
        """What a parameter ``[S, C, ...]`` is pulled to, told at the start of the run; None for zero."""

    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        """What is wrong with it for these networks: pairs of key and message."""
        return ((f"where.{key}", message) for key, message in self.where.problems(outlines))


class L2(Penalty, kind="l2"):
    """``coefficient * sum w^2``: through the gradient, and so through an adaptive optimizer, unlike weight decay."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "l2", "where": ["critic.*weight"], "coefficient": 1e-4}

    def anchor(self, value: Tensor) -> Tensor | None:
        """None: zero."""
        return None


class L2Init(Penalty, kind="l2_init"):
    """``coefficient * sum (w - w_0)^2`` with the first draw ``w_0``. Source: Kumar et al., arXiv:2308.11958."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "l2_init", "where": ["critic.*"], "coefficient": 1e-2}
    anchored: ClassVar[bool] = True

    def anchor(self, value: Tensor) -> Tensor | None:
        """A copy of the first draw."""
        return value.detach().clone()


class Pulls:
    """The penalties of a run over its parameters. Anchors are the first draws, which a resumed run makes again."""

    def __init__(
        self,
        penalties: Mapping[str, Penalty],
        outlines: Mapping[str, Outline],
        parameters: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        """``parameters`` by role and path, ``[S, C, ...]``, as first drawn."""
        from composer.numbers import kept, number

        self._terms: dict[str, list[tuple[str, Tensor | None, Tensor]]] = {}
        for penalty in penalties.values():
            for role, path in penalty.where.select(outlines):
                value = parameters[role][path]
                if value.requires_grad:
                    # A tensor, so that variants that differ in it share a compiled program.
                    factor = number(penalty.coefficient, value.shape[:1], value.device)
                    anchor = penalty.anchor(value)
                    term = (path, anchor if anchor is None else kept(anchor), factor)
                    self._terms.setdefault(role, []).append(term)

    def added(self, role: str, parameters: Mapping[str, Tensor], loss: Tensor) -> Tensor:
        """``loss [S]`` of a role with its penalties; what is no longer trained is no longer pulled."""
        for path, anchor, factor in self._terms.get(role, ()):
            if path in parameters:
                value = parameters[path] if anchor is None else parameters[path] - anchor
                loss = loss + factor * value.square().flatten(1).sum(1)
        return loss
