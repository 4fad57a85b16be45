"""The context of an operation in one firing: one set of weights, their sources and random numbers.

Every random number is a function of seed, intervention and count of firings; none is from a stream of training.
Legend: S seeds, C copies. Tests: tests/interventions/test_surgery.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.interventions.base import Activity
from composer.networks.hidden_units import HiddenLayer
from composer.networks.initialize import draw_one
from composer.networks.outline import Outline, ParameterPlan
from composer.networks.parameter_selectors import ParameterName
from composer.spec.random_streams import derive
from composer.training.surgery.activity import UnitActivity

if TYPE_CHECKING:
    from composer.training.learner import Learner


class FiringContext:
    """One set of weights in one firing: a network's, or those of an average of it."""

    def __init__(
        self,
        learner: Learner,
        activity: UnitActivity,
        name: str,
        firing: Tensor,
        memory: Mapping[ParameterName, Tensor],
        average: str | None = None,
    ) -> None:
        """``firing [S]`` counts earlier firings."""
        self._learner, self._activity, self._memory, self._average = learner, activity, memory, average
        self._streams = [("intervention", name, int(count), average or "network") for count in firing.tolist()]
        self._gradients: dict[str, dict[str, Tensor]] = {}
        self.counts: dict[str, Tensor] = {}
        """What the operation has counted, by name, ``[S]`` each."""

    @property
    def outlines(self) -> Mapping[str, Outline]:
        """Networks and learned scalars by role."""
        return self._learner.outlines

    def value(self, parameter: ParameterName) -> Tensor:
        """The present value, not a copy."""
        role, path = parameter
        if self._average is not None:
            return self._learner.averages[self._average].tensors()[path]
        return self._learner.tensors_of(role)[path]

    def plan(self, parameter: ParameterName) -> ParameterPlan:
        """The plan in the outline."""
        role, path = parameter
        return dict(self._learner.outlines[role].named_parameters())[path]

    def fresh(self, parameter: ParameterName) -> Tensor:
        """A draw from the streams of this firing."""
        return self._drawn(parameter, lambda index: self._streams[index])

    def initial(self, parameter: ParameterName) -> Tensor:
        """A draw from the streams of the run's first values."""
        return self._drawn(parameter, lambda index: ("init", parameter[0]), named=False)

    def noise(self, parameter: ParameterName) -> Tensor:
        """Unit-normal noise from the streams of this firing."""
        value = self.value(parameter)
        shape = value.shape[1:]
        draws = [torch.randn(shape, generator=generator) for generator in self._generators("cpu", *parameter)]
        return torch.stack(draws).to(value.device)

    def average(self, name: str, parameter: ParameterName) -> Tensor:
        """A copy of the average."""
        return self._learner.averages[name].tensors()[parameter[1]].detach().clone()

    def memory(self, parameter: ParameterName) -> Tensor:
        """The memory, not a copy."""
        return self._memory[parameter]

    def record_count(self, name: str, counts: Tensor) -> None:
        """Keep a count for the event."""
        self.counts[name] = counts

    def activity(self, role: str, layers: list[HiddenLayer], batch: int) -> list[Activity]:
        """One forward pass of the network."""
        network = self._learner.networks[role] if self._average is None else self._learner.averages[self._average]
        generators = self._generators(self._learner.device, "batch")
        return self._activity.measure(network, role, layers, batch, generators)

    def gradient(self, parameter: ParameterName, batch: int) -> Tensor:
        """The network's own gradient, for an average of it too; one backward pass for all parameters of a role."""
        role, path = parameter
        if role not in self._gradients:
            generators = self._generators(self._learner.device, "batch")
            self._gradients[role] = self._activity.gradients(role, batch, generators)
        return self._gradients[role].get(path, torch.zeros_like(self.value(parameter)))  # Frozen: no gradient.

    def _generators(self, device: str, *names: str) -> list[torch.Generator]:
        """One generator per seed."""
        seeds = enumerate(self._learner.seeds)
        return [
            torch.Generator(device).manual_seed(derive(seed, *self._streams[index], *names)) for index, seed in seeds
        ]

    def _drawn(
        self, parameter: ParameterName, stream: Callable[[int], tuple[str | int, ...]], named: bool = True
    ) -> Tensor:
        role, path = parameter
        value, statistics = self.value(parameter), dict(self._learner.outlines[role].named_buffers())
        if path in statistics:
            return torch.full_like(value, statistics[path].start)
        plan = self.plan(parameter)
        of = (role,) if named else ()
        rows = [
            torch.stack(
                [draw_one(plan, derive(seed, *stream(index), *of, copy, path)) for copy in range(value.shape[1])]
            )
            for index, seed in enumerate(self._learner.seeds)
        ]
        return torch.stack(rows).to(value.device)
