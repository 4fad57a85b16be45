"""Activity of hidden units and gradients on data of the run, for operations that recycle, replace or shrink.

Legend: S seeds, C copies, B batch, U units of a layer. Tests: tests/interventions/test_recycle.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.algorithms.program import Batch
from composer.interventions.base import Activity
from composer.networks.hidden_units import HiddenLayer
from composer.networks.hooks import Watcher
from composer.networks.stacked import Stacked
from composer.training.diagnose.view import LearnerView

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration
    from composer.replay.transitions import Transitions
    from composer.training.collect.base import TransitionSource
    from composer.training.learner import Learner


class UnitActivity:
    """Measures hidden units of a learner in evaluation mode, which changes nothing of it."""

    def __init__(self, learner: Learner, samples: TransitionSource | None, agent: AgentDeclaration) -> None:
        """``samples`` are the run's data; None where nothing will be measured."""
        self._learner, self._samples, self._agent = learner, samples, agent
        # Made once for all firings: a copy of a module takes longer than a pass through a small one.
        self._watchers: dict[tuple[str, tuple[HiddenLayer, ...]], Watcher] = {}

    def forget(self) -> None:
        """Forget the modules of networks that have been rebuilt."""
        self._watchers.clear()

    @torch.no_grad()
    def measure(
        self,
        network: Stacked,
        role: str,
        layers: Sequence[HiddenLayer],
        batch: int,
        generators: Sequence[torch.Generator],
    ) -> list[Activity]:
        """Activity in a network, or in an average of it, on ``batch`` samples drawn with ``generators [S]``."""
        key = role, tuple(layers)
        if key not in self._watchers:
            reduce_output = {layer.activation.path: partial(_magnitude, axis=layer.axis) for layer in layers}
            reduce_input = {layer.readers[0].path: partial(_mean, axis=layer.readers[0].axis) for layer in layers}
            self._watchers[key] = Watcher(network.template, reduce_output, reduce_input)
        outputs, inputs = self._watchers[key](network, self._input(role, batch, generators))
        return [
            Activity(
                _folded(outputs[layer.activation.path], layer.activation.entries),
                _folded(inputs[layer.readers[0].path], layer.readers[0].entries),
            )
            for layer in layers
        ]

    def _input(self, role: str, batch: int, generators: Sequence[torch.Generator]) -> Tensor:
        """What a network reads of transitions drawn from the run's data, ``[S, B, ...]``."""
        learner, drawn = self._learner, self._drawn(batch, generators)
        now, following = learner.normalised(drawn.observation), learner.normalised(drawn.next_observation)
        noise = {
            name: torch.stack([torch.randn(batch, *shape, generator=g, device=g.device) for g in generators])
            for name, shape in learner.program.noise.items()
        }
        return learner.program.inputs(Batch(now, *drawn[1:4], following), noise)[role].now

    def gradients(self, role: str, batch: int, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        """Gradients of a network's loss ``[S, C, ...]`` by path, on ``batch`` samples drawn with ``generators [S]``.

        Noise of the loss is that of diagnostics, the same at each firing.
        """
        with torch.enable_grad():
            return LearnerView(self._agent, self._learner, self._drawn(batch, generators)).gradients(role)

    def _drawn(self, batch: int, generators: Sequence[torch.Generator]) -> Transitions:
        assert self._samples is not None, "nothing is fired where there are no data"
        return self._samples.sample(batch, self._learner.n_step, self._learner.discount, list(generators))


def _magnitude(value: Tensor, axis: int) -> Tensor:
    """Mean magnitude over every axis but that of units, which is counted from the last."""
    return _mean(value.abs(), axis)


def _mean(value: Tensor, axis: int) -> Tensor:
    mean: Tensor = value.mean([other for other in range(-value.ndim, 0) if other != axis])
    return mean


def _folded(means: Tensor, entries: int) -> Tensor:
    """From ``[S, C, U * entries]`` to the means of each unit, ``[S, C, U]``."""
    folded: Tensor = means.unflatten(-1, (-1, entries)).mean(-1)
    return folded
