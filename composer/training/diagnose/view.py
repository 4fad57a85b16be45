"""The learner's implementation of ``composer.diagnostics.interface.View``. Reading changes nothing of the learner.

The networks here are the learner's own tensors under modules that are always in evaluation mode, so that neither
statistics nor random streams move, and the losses are the algorithm's own, built over them. What several measures need
is computed once. Legend: S seeds, C copies, B batch, U units of a layer, F features. Tests: tests/diagnostics/.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from composer.algorithms.program import Inputs, Program
from composer.networks import unit_statistics as units
from composer.networks.activations import activations
from composer.networks.hooks import watch
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration
    from composer.networks.outline import Outline
    from composer.replay.transitions import Transitions
    from composer.training.learner import Learner

STREAM = "probe"
"""The random stream of all draws of diagnostics."""


class LearnerView:
    """A learner at one moment, on one batch."""

    def __init__(self, spec: AgentDeclaration, learner: Learner, transitions: Transitions) -> None:
        """``transitions`` are raw, ``[S, B, ...]``; they are normalised as the learner would at this moment."""
        self.spec, self._learner = spec, learner
        self.transitions = transitions
        self.batch = learner.batch(transitions)
        self._all = {role: _in_evaluation_mode(network) for role, network in learner.networks.items()}
        self.networks = {role: self._all[role] for role in spec.algorithm.learning_roles(spec.info)}
        self._features: dict[tuple[str, bool], Tensor] = {}
        self._units: dict[str, dict[str, Tensor]] = {}
        self._gradients: dict[str, dict[str, Tensor]] = {}

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the run."""
        return self._learner.seeds

    @property
    def samples(self) -> int:
        """Transitions of one seed, B."""
        return self.batch.reward.shape[1]

    @property
    def observation(self) -> Tensor:
        """Raw observations ``[S, B, ...]``."""
        return self.transitions.observation

    @property
    def updates(self) -> Tensor:
        """Gradient updates so far, float64 ``[S]``, the learner's own tensor."""
        return self._learner.updates

    def outline(self, role: str) -> Outline:
        """One copy of a network with what interventions have added to it."""
        return self._learner.outlines[role]

    def first_outline(self, role: str) -> Outline:
        """One copy of a network as it was declared."""
        return self.spec.sound_outlines[role]

    def parameters(self, role: str) -> dict[str, Tensor]:
        """Trainable parameters by path, ``[S, C, ...]``, the learner's own tensors."""
        return {path: value for path, value in self.networks[role].parameters.items() if value.requires_grad}

    def network(self, role: str) -> Stacked:
        """The learner's own network, for those who copy it: a forward pass in training mode would change it."""
        return self._learner.networks[role]

    def first(self, role: str) -> Stacked:
        """A network with its first weights, drawn again."""
        outline, copies, device = self.spec.sound_outlines[role], self.spec.networks[role].copies, self._learner.device
        return Stacked(
            Template(self.spec.module(role).make),
            fresh_stack(outline, self.seeds, copies, "init", role, device=device),
            fresh_buffers(outline, self.seeds, copies, "init", role, device=device),
        )

    def initial(self, role: str) -> dict[str, Tensor]:
        """Trainable parameters by path as the run began with them; only those that had their present shape then."""
        drawn, now = self.first(role).parameters, self.parameters(role)
        kept = (path for path, value in now.items() if path in drawn and drawn[path].shape == value.shape)
        return {path: drawn[path].detach() for path in kept}

    @torch.no_grad()
    def act(self, observation: Tensor) -> Tensor:
        """Actions without exploration ``[S, B, ...]`` for raw observations ``[S, B, ...]``."""
        return self._program.act(self._learner.normalised(observation), None)

    def inputs(self, role: str) -> Inputs:
        """What a network reads on the batch, now and at the next step."""
        return self._inputs[role]

    def input(self, role: str) -> Tensor:
        """What a network reads on the batch, ``[S, B, ...]``."""
        return self._inputs[role].now

    def features(self, role: str, following: bool = False) -> Tensor:
        """What enters the network's head, flattened, ``[S, C, B, F]``; ``following`` at the next inputs."""
        if (role, following) not in self._features:
            self._watch(role, following)
        return self._features[role, following]

    def units(self, role: str) -> dict[str, Tensor]:
        """By path of each activation module: ``unit_statistics.summary`` of its units, ``[S, C, 3, U]``."""
        if role not in self._units:
            self._watch(role, following=False)
        return self._units[role]

    def loss(self, role: str, sample: int | None = None) -> Tensor:
        """The loss of a network's own objective, ``[S]``: on the whole batch, or on one sample of it."""
        batch, noise = self.batch._replace(extra=self._program.default_extras(self.batch)), self._noise
        if sample is not None:
            batch = batch.only(sample)
            noise = {name: value[:, sample : sample + 1] for name, value in noise.items()}
        signals: dict[str, Tensor] = {}
        for objective in self._program.objectives:
            if role in objective.roles:
                return objective.loss(batch, noise, signals)
            with torch.no_grad():  # Later objectives may read what earlier ones report.
                objective.loss(batch, noise, signals)
        raise KeyError(role)

    def gradients(self, role: str) -> dict[str, Tensor]:
        """Gradients of the loss on the whole batch, by path."""
        if role not in self._gradients:
            parameters = self.parameters(role)
            # In evaluation mode noisy layers draw nothing, so that the scales of their noise have no gradient.
            found = torch.autograd.grad(
                self.loss(role).sum(), list(parameters.values()), allow_unused=True, materialize_grads=True
            )
            self._gradients[role] = dict(zip(parameters, found, strict=True))
        return self._gradients[role]

    def hessian(self, role: str) -> Callable[[list[Tensor]], list[Tensor]]:
        """The product of each seed's Hessian of the loss with tensors like the parameters."""
        parameters = list(self.parameters(role).values())
        # Seeds share no parameter: the Hessian of the sum is block by block each seed's own.
        gradients = torch.autograd.grad(
            self.loss(role).sum(), parameters, create_graph=True, allow_unused=True, materialize_grads=True
        )

        def product(vector: list[Tensor]) -> list[Tensor]:
            slope = sum((g * v).sum() for g, v in zip(gradients, vector, strict=True))
            assert isinstance(slope, Tensor)
            rows = torch.autograd.grad(slope, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
            return list(rows)

        return product

    def direction(self, role: str) -> list[Tensor]:
        """Random tensors like the parameters, of each seed its own, the same at each moment."""
        return [
            torch.stack([self._normal(value.shape[1:], seed, "direction", role, path) for seed in self.seeds])
            for path, value in self.parameters(role).items()
        ]

    @contextmanager
    def twice_differentiable(self) -> Iterator[None]:
        """Losses inside have second derivatives: fused attention has none, its plain form has."""
        with sdpa_kernel(SDPBackend.MATH):
            yield

    @cached_property
    def _program(self) -> Program:
        learner = self._learner
        averages = {name: _in_evaluation_mode(network) for name, network in learner.averages.items()}
        built = replace(learner.built, networks=self._all, averages=averages)
        return self.spec.algorithm.build(built, self.spec.info, Hyperparameters(len(self.seeds), learner.device))

    @cached_property
    def _inputs(self) -> Mapping[str, Inputs]:
        with torch.no_grad():
            return self._program.inputs(self.batch, self._noise)

    @cached_property
    def _noise(self) -> dict[str, Tensor]:
        batch = self.batch.reward.shape[1]
        return {
            name: torch.stack([self._normal((batch, *shape), seed, "noise", name) for seed in self.seeds])
            for name, shape in self._program.noise.items()
        }

    def _normal(self, shape: tuple[int, ...], seed: int, *names: str) -> Tensor:
        generator = torch.Generator(self._learner.device).manual_seed(derive(seed, STREAM, *names))
        return torch.randn(shape, generator=generator, device=self._learner.device)

    @torch.no_grad()
    def _watch(self, role: str, following: bool) -> None:
        """Keep the input of the head and, at the present inputs, summaries of units, in one forward pass."""
        x = self.inputs(role).following if following else self.inputs(role).now
        features, summaries = watched(self.networks[role], None if following else self.outline(role), x)
        self._features[role, following] = features
        if not following:
            self._units[role] = summaries


def watched(network: Stacked, outline: Outline | None, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Features ``[S, C, B, F]`` and, with an outline, summaries of units by activation, in one forward pass."""
    axes = dict(activations(outline)) if outline else {}
    outputs = {path: partial(units.summary, unit_axis=axis) for path, axis in axes.items()}
    summaries, features = watch(network, x, outputs, {"head": lambda entered: entered.flatten(1)})
    return features["head"], summaries


def _in_evaluation_mode(network: Stacked) -> Stacked:
    """The same tensors in evaluation mode."""
    template = copy.copy(network.template)
    template.training = template.evaluation
    return Stacked(template, network.parameters, network.buffers)
