"""Interventions: when x where x do x moments x target. One protocol for all changes of a learning network.

The specs are free of torch. An operation computes new values of the chosen parameters; ``composer.training.surgery``
decides when, writes them in place for the seeds that fire, treats optimizer state and averages, asserts and records.
Legend: S seeds, C copies. Tests: tests/interventions/.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Protocol

from composer.interventions.effects import EffectMeasure
from composer.interventions.growth_steps import Step
from composer.interventions.triggers import Trigger
from composer.networks.network import Network
from composer.networks.outline import Outline, ParameterPlan
from composer.networks.parameter_selectors import ParameterName, Selector
from composer.spec.family import Family, Spec
from composer.spec.shape import Shape
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import Tensor

    from composer.networks.hidden_units import HiddenLayer


class Rewrite(NamedTuple):
    """New values of one parameter."""

    parameter: ParameterName
    value: Tensor
    """``[S, C, ...]``, the whole parameter."""
    entries: Tensor | None = None
    """Changed entries, a boolean that broadcasts to the value; None for all."""
    forgets: bool = True
    """Whether ``moments = "chosen"`` zeroes the moments of these entries."""


class Activity(NamedTuple):
    """Means over a batch and all positions for the hidden units of one layer, ``[S, C, U]`` each."""

    magnitude: Tensor
    """Mean of ``|h|``, the output of the last activation."""
    read: Tensor
    """Mean, with its sign, of the input of the layers that read the units."""


class Growth(NamedTuple):
    """Terms that a firing adds to a network: ``h + h_new - h_twin``."""

    has_twin: bool
    """Whether a frozen twin of the new term is subtracted."""
    freezes_original: bool
    """Whether the terms before it are frozen."""


class Case(NamedTuple):
    """One intervention of a blueprint among the others, checked before anything is allocated."""

    name: str
    """The intervention that is checked."""
    interventions: Mapping[str, Intervention]
    """All interventions of the blueprint, by name."""
    networks: Mapping[str, Network]
    """Declared networks, by role."""
    averages: Mapping[str, str]
    """By name of an average: the role that it averages."""
    outlines: Mapping[str, Outline]
    """Networks and learned scalars by role."""
    chosen: Mapping[str, tuple[ParameterName, ...]]
    """The chosen parameters of every intervention, by its name."""
    actions: int = 0
    """Size of an action, which heads are made for."""
    per_seed: frozenset[str] = frozenset()
    """Interventions that may fire for one of several seeds at another time than for the others."""
    learns_beside: bool = True
    """Whether the algorithm can learn from what another policy does."""
    anchored: Mapping[str, str] = MappingProxyType({})
    """By role: the key of a penalty or an optimizer that keeps tensors of its first shapes."""

    @property
    def parameters(self) -> tuple[ParameterName, ...]:
        """The parameters that this one chooses."""
        return self.chosen[self.name]

    @property
    def roles(self) -> list[str]:
        """Roles of the chosen parameters, in order."""
        return list(dict.fromkeys(role for role, _ in self.parameters))


class OperationContext(Protocol):
    """What an operation may read: one set of weights (a network's, or those of an average of it) and its sources."""

    @property
    def outlines(self) -> Mapping[str, Outline]:
        """Networks and learned scalars by role."""

    def value(self, parameter: ParameterName) -> Tensor:
        """The present value of the parameter, ``[S, C, ...]``."""

    def plan(self, parameter: ParameterName) -> ParameterPlan:
        """How the parameter was declared."""

    def fresh(self, parameter: ParameterName) -> Tensor:
        """A new draw of the declared initialiser, another at each firing and for each set of weights."""

    def initial(self, parameter: ParameterName) -> Tensor:
        """The first value of the run, drawn again."""

    def noise(self, parameter: ParameterName) -> Tensor:
        """Unit-normal noise, another at each firing and for each set of weights."""

    def average(self, name: str, parameter: ParameterName) -> Tensor:
        """The parameter's average of that name."""

    def activity(self, role: str, layers: list[HiddenLayer], batch: int) -> list[Activity]:
        """Activity of hidden units in evaluation mode on ``batch`` samples of the run's data, others at each firing."""

    def gradient(self, parameter: ParameterName, batch: int) -> Tensor:
        """The gradient of the loss of the parameter's network ``[S, C, ...]`` on ``batch`` samples, as ``activity``."""

    def memory(self, parameter: ParameterName) -> Tensor:
        """The operation's memory of that name, to be changed in place; seeds that do not fire keep theirs."""

    def record_count(self, name: str, counts: Tensor) -> None:
        """Add a count per seed, ``[S]``, to the event."""


class Operation(Family, family="operation"):
    """A change of the chosen parameters."""

    changes_weights: ClassVar[bool] = True
    """Whether parameters get new values."""
    is_projection: ClassVar[bool] = False
    """Whether it only restores a property, such as a norm: a second firing in a row changes nothing."""

    reshapes: ClassVar[bool] = False
    """Whether a firing changes the shape of a network: it is a ``Grow``."""

    needs_twin: ClassVar[bool] = False
    """Whether a second agent learns beside the one that acts."""

    @property
    def changes_structure(self) -> bool:
        """Whether a network is another module after a firing."""
        return self.reshapes or self.growth is not None

    def keeps_shapes(self, outlines: Mapping[str, Outline], chosen: Sequence[ParameterName]) -> bool:
        """Whether it needs the chosen parameters in their first shapes: it remembers or draws first values again."""
        return bool(self.memory(outlines, chosen))

    def steps(self, network: Network, shape: Shape, actions: int, chosen: Sequence[str]) -> Iterator[Step]:
        """Of an operation that ``reshapes``: the steps of one firing on a network with inputs of ``shape``.

        ``chosen`` are the paths that it chooses there. Raises ValueError with what is wrong, in words for people.
        """
        return iter(())

    @property
    def growth(self) -> Growth | None:
        """How the network grows at each firing; None where its parameters change in place."""
        return None

    @property
    def moves_statistics(self) -> bool:
        """Whether it changes a network's running statistics too where all of its parameters are chosen."""
        return False

    @property
    def resets_weights(self) -> bool:
        """Whether less than half of the old weights is left after a firing."""
        return False

    @property
    def mixes_weights(self) -> bool:
        """Whether new values are sums of old weights and others, so that vectors of unit norm do not stay such."""
        return False

    @property
    def average(self) -> str | None:
        """Name of the average that parameters are moved toward, if any."""
        return None

    def memory(self, outlines: Mapping[str, Outline], chosen: Sequence[ParameterName]) -> Mapping[ParameterName, Shape]:
        """Shapes of its memory between firings, by role and name: float64 ``[S, C, *shape]``, 0 at first."""
        return {}

    @abstractmethod
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        """New values of the chosen parameters: all are computed before any is written, then written in this order."""

    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        """What is wrong with this operation on the chosen parameters: pairs of key and message."""
        return iter(())


def problems_of_gradients(case: Case) -> Iterator[tuple[str, str]]:
    """Keys and messages where a chosen parameter has no loss of a network whose gradient could be taken."""
    for role in case.roles:
        if role not in case.networks:
            yield "", f"{role!r} is no network, and the gradient of a network's loss is needed; leave it out of 'where'"


class Intervention(Spec):
    """One thing done to networks while they learn."""

    when: Trigger
    """When it fires."""
    where: Selector
    """Which parameters it changes: a selector, or a list of globs over ``role.path``."""
    do: Operation
    """The operation."""
    moments: Literal["keep", "zero", "chosen", "steps"] = "keep"
    """Optimizer state of the parameters: kept; as new, step counts included; zeroed for the changed entries only; or
    kept with step counts that begin anew, as Adam-Rel does, arXiv:2412.17113."""
    target: Literal["keep", "follow", "own"] = "keep"
    """Averages of the network: kept; given the same new values; or treated alike, with draws of their own."""
    schedules: Literal["keep", "restart"] = "keep"
    """Whether learning-rate schedules of the roles begin anew."""

    measure: Annotated[EffectMeasure | None, Without(None)] = None
    """Measures the effect of its first firings; not where it is left out."""

    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        """What is wrong with this intervention as a whole: pairs of key and message."""
        yield from ((f"do.{key}" if key else "do", message) for key, message in self.do.problems(case))
        if self.target == "own" and self.do.memory(case.outlines, case.parameters):
            message = f"what {self.do.kind!r} remembers is about the network itself; use 'keep' or 'follow'"
            yield "target", message
        if self.target != "keep" and not set(case.roles) & set(case.averages.values()):
            roles = " or ".join(map(repr, case.roles))
            yield "target", f"nothing averages {roles}; leave 'target' out, or 'keep'"
