"""The family of penalties: terms of the loss beside that of the algorithm.

Legend: S seeds, C copies. Tests: tests/optim/test_penalties.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from composer.networks.outline import Outline, ParameterPlan
from composer.networks.parameter_selectors import ParameterName, Selector
from composer.spec.family import Family
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor


class Penalty(Family, family="penalty"):
    """A term of the loss of the network whose parameters it selects, summed over parameters and copies."""

    anchored: ClassVar[bool] = False
    """Whether the first value of each parameter is kept, for the memory forecast."""
    of_features: ClassVar[bool] = False
    """Whether it reads the features of the networks that ``where`` reaches, and not the parameters."""
    of_matrices: ClassVar[bool] = False
    """Whether it leaves out parameters with a single axis, such as biases and gains."""

    where: Selector
    """Which parameters: a selector, or a list of globs over ``role.path``."""
    coefficient: Annotated[float, Field(gt=0, le=1e6)]
    """Factor on the sum."""

    def chosen(self, outlines: Mapping[str, Outline]) -> tuple[ParameterName, ...]:
        """The parameters that it acts on, by role and path."""
        found = self.where.select(outlines)
        if not self.of_matrices:
            return found
        plans = {role: dict(outline.named_parameters()) for role, outline in outlines.items()}
        return tuple((role, path) for role, path in found if len(plans[role][path].shape) > 1)

    def anchor(self, value: Tensor) -> Tensor | None:
        """What is kept of a parameter's first value ``[S, C, ...]``."""
        return None

    def memory(self, plan: ParameterPlan) -> Shape | None:
        """Shape of what one copy of a parameter keeps from update to update, 1 at first; None for nothing."""
        return None

    def numbers(self) -> tuple[float, ...]:
        """The numbers that ``term`` takes, apart from the coefficient."""
        return ()

    @abstractmethod
    def term(self, value: Tensor, anchor: Tensor | None, memory: Tensor | None, *numbers: Tensor) -> Tensor:
        """The penalty ``[S]`` of a parameter ``[S, C, ...]``, without its coefficient.

        ``anchor`` and ``memory [S, C, ...]`` are those of the parameter, the latter to be changed in place;
        ``numbers [S, 1]`` are those of ``numbers``. Of features, ``value`` and ``anchor`` are those of the present
        inputs and of the following ones, ``[S, C, B, F]``.
        """

    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        """Problems with these networks: pairs of key and message."""
        found = [(f"where.{key}", message) for key, message in self.where.problems(outlines)]
        yield from found
        if not found and not self.chosen(outlines):
            yield "where", f"{self.kind!r} is for weights with two axes or more, and none of these has them"
