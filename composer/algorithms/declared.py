"""Declarations of algorithms: network roles, averages that are read, tensors of their own, schedules of updates.

Free of torch. Tests: tests/training/test_algorithm_state.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Literal, NamedTuple

from composer.networks.network import Network
from composer.networks.outline import Outline
from composer.optim.schedules import Schedule
from composer.spec.metrics import Metric, loss
from composer.spec.shape import Shape, ShapeError

CRITICS = (
    loss("critic/loss", "the critics' loss, summed over critics"),
    Metric("critic/value", "mean value that the critics predict for a batch", "scaled return"),
)
"""The metrics that ``losses.critics.critics_loss`` reports."""


class InputFrom(NamedTuple):
    """An input shape that follows from the outlines of other networks, such as an encoder's output."""

    roles: tuple[str, ...]
    """The networks that it follows from."""
    shape: Callable[[Mapping[str, Outline]], Shape]
    """From their outlines, by role, to the input shape."""


class Role(NamedTuple):
    """A network that an algorithm needs."""

    name: str
    input: Shape | InputFrom
    """Input shape of one sample."""
    produces: str | None = None
    """The product that its head needs; None where any head fits."""
    has_one_copy: bool = True
    """Whether the algorithm reads a single copy of it."""
    option: str = ""
    """The key of the algorithm that needs it; empty where it is always needed."""
    concatenates: tuple[tuple[str, Shape | None], ...] = ()
    """What its input puts together, by name, in order; empty where it is one thing, such as the observation. A shape
    that follows from another network is None."""
    is_fixed: bool = False
    """Whether its weights stay as they were drawn: it has no optimizer, and diagnostics do not read it."""


class AverageRole(NamedTuple):
    """An average that an algorithm reads."""

    name: str
    of: str
    """The network, or the average, that it has to average."""
    is_optional: bool = False
    """Whether the algorithm does without where it is not declared."""
    alternative: str = ""
    """The setting of the algorithm that does without it, for the message that it is missing."""
    is_kept: bool = False
    """Whether the algorithm itself copies it, as a checkpoint of a policy: its momentum is then 1."""

    @property
    def momentum(self) -> float:
        """One that fits, for an example."""
        return 1.0 if self.is_kept else 0.995


class Passes(Enum):
    """The passes of an update through one network; values are costs in forward passes.

    By convention a gradient of parameters costs as much as a forward pass, and so does a gradient of inputs.
    """

    FORWARD = 1
    """Forward only."""
    THROUGH = 2
    """Forward, and the gradient of the input on its way to the parameters of another network."""
    TRAIN = 3
    """Forward, and the gradients of parameters and input."""


class Evaluated(NamedTuple):
    """A network, or an average of one, that an update evaluates, with all copies."""

    network: str
    """A role, or the name of an average; one that is optional and not declared is not evaluated."""
    passes: Passes
    batches: int = 1
    """Batches in one pass: 2 for a joint batch of current and next inputs."""


class UpdateSchedule(NamedTuple):
    """How many updates an algorithm makes on how much data, and the horizon of their targets."""

    update_to_data: float = 1.0
    """Gradient updates per interaction."""
    warmup_interactions: int = 0
    """Interactions with random actions."""
    n_step: int = 1
    """Rewards summed before a value is bootstrapped."""
    discount: float = 0.0
    """Of one interaction."""
    rollout: int = 1
    """Interactions between two series of updates: 1, or the length of a rollout."""
    future: int = 0
    """Following transitions that a batch carries with each sampled one."""
    untrained: int = 1
    """Interactions with actions of the policy until the first update."""
    first: int = 0
    """Updates made at once, at the interaction that makes the first one; 0: as many as at each other."""
    sequence: int = 0
    """Consecutive observations of each sequence that a batch carries in the place of single transitions; 0: none."""
    remembered: int = 0
    """Numbers of acting's memory that the replay keeps with each transition."""


class Bursts(NamedTuple):
    """Series of updates of some objectives alone, each on a minibatch of its own."""

    every: int
    """Updates from one series to the next; the first series comes before the first update."""
    updates: int
    """Updates of one series."""


class HorizonSchedules(NamedTuple):
    """Schedules of the n-step window and of the discount, on the clock of a role's optimizer."""

    n_step: Schedule | None = None
    """Rewards summed, to be rounded; None where constant."""
    one_minus_discount: Schedule | None = None
    """``1 - discount``; None where constant."""
    role: str = ""
    """The role whose optimizer is the clock."""


class RolloutPlan(NamedTuple):
    """How an algorithm learns from each rollout of its present policy."""

    interactions: int
    """Interactions of a rollout, T; it holds as many transitions of every environment copy."""
    epochs: int
    """Passes over each rollout."""
    minibatches: int
    """Updates of one pass."""
    trace_decay: float
    """Lambda, decay of the weights of longer returns: 0 for returns of one step, 1 for those of the whole rollout."""
    normalize_advantages: bool = False
    """Whether advantages have mean 0 and standard deviation 1 in each minibatch."""


class StateTensor(NamedTuple):
    """A tensor ``[S, *shape]`` that an algorithm keeps between updates, such as a counter or a running bound."""

    shape: Shape = ()
    """Of one seed."""
    initial: float = 0.0
    """Every entry before the first update."""
    dtype: Literal["float32", "float64", "int64"] = "float32"

    @property
    def bytes(self) -> int:
        """Memory of one seed."""
        size = 4 if self.dtype == "float32" else 8
        for length in self.shape:
            size *= length
        return size


def outlines_of(
    roles: Sequence[Role], networks: Mapping[str, Network], actions: int
) -> dict[str, Outline | ShapeError]:
    """The outline of one copy of each declared network, or why it has none; networks that others follow from first.

    A network that follows from one without an outline is left out: the other one's error says why.
    """
    found: dict[str, Outline | ShapeError] = {}
    waiting = [role for role in roles if role.name in networks]
    while waiting:
        names = {role.name for role in waiting}
        ready = [role for role in waiting if not names.intersection(_sources(role))]
        if not ready:
            circle = " and ".join(repr(role.name) for role in waiting)
            return found | {role.name: ShapeError(f"the inputs of {circle} follow from each other") for role in waiting}
        for role in ready:
            shape = _input_shape(role, found)
            if shape is not None:
                outline = _outline(networks[role.name], shape, actions)
                found[role.name] = outline.frozen() if role.is_fixed and isinstance(outline, Outline) else outline
        waiting = [role for role in waiting if role not in ready]
    return {role.name: found[role.name] for role in roles if role.name in found}


def _sources(role: Role) -> tuple[str, ...]:
    return role.input.roles if isinstance(role.input, InputFrom) else ()


def _input_shape(role: Role, found: Mapping[str, Outline | ShapeError]) -> Shape | None:
    if not isinstance(role.input, InputFrom):
        return role.input
    outlines = {name: outline for name in role.input.roles if isinstance(outline := found.get(name), Outline)}
    return role.input.shape(outlines) if len(outlines) == len(role.input.roles) else None


def _outline(network: Network, shape: Shape, actions: int) -> Outline | ShapeError:
    try:
        return network.outline(shape, actions)
    except ShapeError as error:
        return error
