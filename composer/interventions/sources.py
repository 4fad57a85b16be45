"""Where new values come from: averages, fresh draws, the beginning, zeros, noise. Tests: tests/interventions/."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.parameter_selectors import Place
from composer.spec.family import Family
from composer.spec.wording import suggestion

if TYPE_CHECKING:
    from torch import Tensor

    from composer.interventions.base import Case, OperationContext


class Source(Family, family="source"):
    """What parameters are moved toward."""

    @abstractmethod
    def value(self, context: OperationContext, place: Place) -> Tensor:
        """One value for every entry, ``[S, C, ...]``."""

    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        """What is wrong with this source for these parameters: pairs of key and message."""
        return iter(())


class Fresh(Source, kind="fresh"):
    """A new draw of the declared initialiser, from a random stream of its own."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "fresh"}

    def value(self, context: OperationContext, place: Place) -> Tensor:
        """Another one at each firing."""
        return context.fresh(place)


class Initial(Source, kind="initial"):
    """The values that the run began with."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "initial"}

    def value(self, context: OperationContext, place: Place) -> Tensor:
        """The same at each firing."""
        return context.initial(place)


class Zeros(Source, kind="zeros"):
    """Nothing."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "zeros"}

    def value(self, context: OperationContext, place: Place) -> Tensor:
        """Zeros."""
        import torch

        return torch.zeros_like(context.value(place), requires_grad=False)


class Normal(Source, kind="normal"):
    """Normal noise of mean zero."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "normal", "std": 0.01}

    std: Annotated[float, Field(gt=0, le=100)]
    """Standard deviation."""

    def value(self, context: OperationContext, place: Place) -> Tensor:
        """Another draw at each firing."""
        return context.noise(place) * self.std


class FromAverage(Source, kind="average"):
    """An average of the network: a target network, a Tortoise."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "average", "name": "tortoise"}

    name: Annotated[str, Field(min_length=1, max_length=64)]
    """Its name under ``averages``."""

    def value(self, context: OperationContext, place: Place) -> Tensor:
        """The average of this very parameter."""
        return context.average(self.name, place)

    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        """It must exist, and average the networks whose parameters are chosen."""
        averages = case.blueprint.averages
        average = averages.get(self.name)
        if average is None:
            yield "name", f"no average named {self.name!r}{suggestion(self.name, averages)}"
            return
        for role in case.roles:
            if role != average.of:
                yield "name", f"{self.name!r} averages {average.of!r}, and 'where' chooses parameters of {role!r}"
