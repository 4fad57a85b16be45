"""The step of an objective: gradients, penalties, optimizers, projections to unit norm, frozen parameters.

Everything is changed in place. Legend: S seeds, C copies, B batch. Tests: tests/training/test_learner.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from composer.algorithms.base import AgentDeclaration
from composer.algorithms.program import Batch, Inputs, Objective
from composer.networks.modules.projection import project
from composer.networks.outline import Outline, Projection
from composer.networks.stacked import Stacked, per_seed
from composer.optim.delayed import apply_every
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.steps import GradientRule, OptimizerState, carry, clip_by_global_norm
from composer.spec.random_streams import derive
from composer.training.penalty_terms import PenaltyTerms


class GradientStep:
    """The optimizers of an agent, and the step of each objective."""

    def __init__(
        self,
        agent: AgentDeclaration,
        objectives: Sequence[Objective],
        networks: Mapping[str, Stacked],
        scalars: Mapping[str, Mapping[str, Tensor]],
        outlines: Mapping[str, Outline],
        hyperparameters: Hyperparameters,
        updates: Tensor,
        inputs: Callable[[Batch, Mapping[str, Tensor]], Mapping[str, Inputs]],
    ) -> None:
        """Fresh optimizer state for every role that an objective trains; ``updates [S]`` counts updates done.

        ``inputs`` gives what each network reads on a batch, for penalties on features.
        """
        self._updates = updates
        self._declared, self._seeds, self._device = agent.optimizers, agent.seeds, hyperparameters.device
        self._networks, self._scalars, self._outlines = networks, scalars, outlines
        trained = [role for objective in objectives for role in objective.roles]
        self._trained = {role: _trainable(self.parameters(role)) for role in trained}
        self.penalty_terms = PenaltyTerms(
            agent.penalties, outlines, {role: self.parameters(role) for role in outlines}, hyperparameters
        )
        """What penalties add to losses, and what they keep."""
        self._inputs = inputs
        self._trunks = {role: networks[role].child("trunk") for role in self.penalty_terms.of_features}
        self._projected = {role: self._projections(role) for role in self._trained}
        self.optimizers = {role: self._optimizer(role, hyperparameters) for role in self._trained}
        """State by role."""
        self._rules = {role: self._rule(role, hyperparameters) for role in self._trained}
        self._frozen: dict[str, Mapping[str, Tensor]] = {}

    def parameters(self, role: str) -> Mapping[str, Tensor]:
        """The parameters of a network or a learned scalar by path, ``[S, C, ...]``, not copies."""
        return self._networks[role].parameters if role in self._networks else self._scalars[role]

    def tensors(self, role: str) -> Mapping[str, Tensor]:
        """State of a role's optimizer by name."""
        return self.optimizers[role].tensors()

    def step(self, objective: Objective, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> None:
        """One step of an objective, of every role that it trains, where it is due."""
        take = partial(self._take, objective, batch, noise, signals)
        if objective.every is None or objective.skips == "optimizer":
            return take()
        changed = [value for role in objective.roles for value in self._changed(role)]
        updates = self._updates - 1 if objective.skips == "following_steps" else self._updates
        apply_every(take, changed, objective.every, updates)

    def restructure(
        self,
        role: str,
        frozen: Mapping[str, Tensor],
        moment: Callable[[str, Tensor], Tensor] = lambda path, value: value,
    ) -> None:
        """Optimize the present parameters of a network; parameters that keep their path keep their optimizer state.

        ``frozen`` names trained parameters that do not move for some seeds, each with a mask ``[S]``. ``moment`` gives
        an old moment of a parameter the parameter's present shape.
        """
        if role not in self.optimizers:
            return
        old = self.optimizers[role]
        self._frozen[role] = frozen
        self._trained[role] = _trainable(self.parameters(role))
        unlisted = Hyperparameters(len(self._seeds), self._device)  # An agent with a changed network is not stacked.
        self.optimizers[role], self._rules[role] = self._optimizer(role, unlisted), self._rule(role, unlisted)
        carry(old, self.optimizers[role], moment)
        self._projected[role] = self._projections(role)
        if role in self._trunks:
            self._trunks[role] = self._networks[role].child("trunk")

    def apply(self, role: str, gradients: Sequence[Tensor], every: Tensor | None = None) -> None:
        """One step of an optimizer, then projections; frozen parameters are restored.

        With ``every`` the optimizer steps at the first of ``every`` updates; projections follow each.
        """
        trained, frozen = self._trained[role], self._frozen.get(role, {})
        before = {path: trained[path].detach().clone() for path in frozen}
        step = partial(self.optimizers[role].step, gradients)
        if every is None:
            step()
        else:
            apply_every(step, [*trained.values(), *self.tensors(role).values()], every, self._updates - 1)
        with torch.no_grad():
            project(trained, self._projected[role])
            for path, seeds in frozen.items():
                value = trained[path]
                value.copy_(torch.where(per_seed(seeds, value), before[path], value))

    def _take(
        self, objective: Objective, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]
    ) -> None:
        found = self._gradients(objective, batch, noise, signals)
        gradients = iter(found if objective.max_norm is None else clip_by_global_norm(found, objective.max_norm))
        every = objective.every if objective.skips == "optimizer" else None
        for role in objective.roles:
            self.apply(role, list(islice(gradients, len(self._trained[role]))), every)

    def _changed(self, role: str) -> list[Tensor]:
        """All that a step changes."""
        buffers = self._networks[role].buffers if role in self._networks else {}
        kept = self.penalty_terms.tensors(role)
        return [*self.parameters(role).values(), *buffers.values(), *self.tensors(role).values(), *kept.values()]

    def _gradients(
        self, objective: Objective, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]
    ) -> Sequence[Tensor]:
        """Gradients of a loss, role by role, taken where the rule of the first role says."""

        def gradient(reported: dict[str, Tensor]) -> Sequence[Tensor]:
            loss = objective.loss(batch, noise, reported)
            for role in objective.roles:
                features = self._features(role, batch, noise) if role in self._trunks else ()
                loss = self.penalty_terms.add_to(role, self._trained[role], loss, features)
            # Seeds share no parameter, so the gradient of the sum is each seed's own gradient.
            parameters = [value for role in objective.roles for value in self._trained[role].values()]
            return torch.autograd.grad(loss.sum(), parameters)

        role = objective.role
        rule = self._rules[role]
        if rule is None:
            return gradient(signals)
        buffers = list(self._networks[role].buffers.values()) if role in self._networks else []
        return rule.gradients(gradient, signals, buffers, self._frozen.get(role, {}))

    def _features(self, role: str, batch: Batch, noise: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """What enters the head of a network at the present inputs and at the following ones, ``[S, C, B, F]``."""
        with torch.no_grad():
            given = self._inputs(batch, noise)[role]
        return [self._trunks[role](each).flatten(3) for each in (given.now, given.following)]

    def _optimizer(self, role: str, hyperparameters: Hyperparameters) -> OptimizerState:
        """Fresh state over the trained parameters of a role."""
        keys = [derive(seed, "optimizer", role) for seed in self._seeds]
        return self._declared[role].build(self._trained[role], hyperparameters, keys)

    def _rule(self, role: str, hyperparameters: Hyperparameters) -> GradientRule | None:
        return self._declared[role].gradient_rule(self._trained[role], hyperparameters)

    def _projections(self, role: str) -> list[Projection]:
        """Of trained parameters that are kept at a norm: those that an injection froze stay as they are."""
        found, trained = self._outlines[role].projections() if role in self._networks else (), self._trained[role]
        return [each for each in found if trained.keys() >= set(each.paths)]


def _trainable(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {path: value for path, value in parameters.items() if value.requires_grad}
