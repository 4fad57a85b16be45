"""Sources of new values: averages, fresh draws, first values, zeros, noise. Tests: tests/interventions/."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.parameter_selectors import ParameterName
from composer.spec.family import Family
from composer.spec.wording import suggestion

if TYPE_CHECKING:
    from torch import Tensor

    from composer.interventions.base import Case, OperationContext


class Source(Family, family="source"):
    """A source of values for parameters."""

    renews: ClassVar[bool] = False
    """Whether these are weights of an untrained network."""

    draws_first_values: ClassVar[bool] = False
    """Whether they are drawn again as at the start of the run, in the shapes of then."""

    @property
    def average(self) -> str | None:
        """Name of the average that values come from, if any."""
        return None

    @abstractmethod
    def value(self, context: OperationContext, parameter: ParameterName) -> Tensor:
        """One value for every entry, ``[S, C, ...]``."""

    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        """What is wrong with this source for these parameters: pairs of key and message."""
        return iter(())


class Fresh(Source, kind="fresh"):
    """A new draw of the declared initialiser at each firing, from a random stream of its own."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "fresh"}
    renews: ClassVar[bool] = True

    @override
    def value(self, context: OperationContext, parameter: ParameterName) -> Tensor:
        return context.fresh(parameter)


class Initial(Source, kind="initial"):
    """The values that the run began with, the same at each firing."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "initial"}
    renews: ClassVar[bool] = True
    draws_first_values: ClassVar[bool] = True

    @override
    def value(self, context: OperationContext, parameter: ParameterName) -> Tensor:
        return context.initial(parameter)


class Zeros(Source, kind="zeros"):
    """Zeros."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "zeros"}

    @override
    def value(self, context: OperationContext, parameter: ParameterName) -> Tensor:
        import torch

        return torch.zeros_like(context.value(parameter), requires_grad=False)


class Normal(Source, kind="normal"):
    """Normal noise of mean zero, another draw at each firing."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "normal", "std": 0.01}

    std: Annotated[float, Field(gt=0, le=100)]
    """Standard deviation."""

    @override
    def value(self, context: OperationContext, parameter: ParameterName) -> Tensor:
        return context.noise(parameter) * self.std


class FromAverage(Source, kind="average"):
    """An average of the network: a target network, a Tortoise."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "average", "name": "tortoise"}

    name: Annotated[str, Field(min_length=1, max_length=64)]
    """Its name under ``averages``."""

    @property
    @override
    def average(self) -> str:
        return self.name

    @override
    def value(self, context: OperationContext, parameter: ParameterName) -> Tensor:
        return context.average(self.name, parameter)

    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        """The average must exist, and be one of the network whose parameters are chosen."""
        averaged = case.averages.get(self.name)
        if averaged is None:
            yield "name", f"no average named {self.name!r}{suggestion(self.name, case.averages)}"
            return
        for role in case.roles:
            if role != averaged:
                yield "name", f"{self.name!r} averages {averaged!r}, and 'where' chooses parameters of {role!r}"
