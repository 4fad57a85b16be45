"""Optimizer steps on stacked parameters: elementwise, in place, with one learning rate per seed.

``torch.optim`` does not serve: the step runs inside the captured update, on parameters ``[seeds, copies, ...]``, with
step counts per parameter and seed that interventions may reset.
``tests/papers/test_adam.py`` holds it to ``torch.optim.AdamW``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor
from typing_extensions import override

from composer.optim.fused_adam import Numbers, can_fuse, fused_step
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Schedule

Signals = dict[str, Tensor]
"""Scalars that a loss reports, ``[seeds]`` by name."""


class GradientRule(Protocol):
    """Says where the gradient of a step is taken."""

    def gradients(
        self,
        gradient: Callable[[Signals], Sequence[Tensor]],
        signals: Signals,
        buffers: Sequence[Tensor],
        frozen: Mapping[str, Tensor],
    ) -> Sequence[Tensor]:
        """The gradients of a step; parameters are afterwards as before.

        ``gradient`` evaluates the loss at the present parameters, adds to ``signals`` and may change ``buffers``;
        ``frozen`` are masks ``[seeds]``, by path, of the seeds whose parameter must not move.
        """


class OptimizerState(ABC):
    """How the parameters of one role move, and the tensors that are kept for it."""

    @abstractmethod
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the parameters in place; gradients in the order of the parameters given at construction."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name: a checkpoint saves them and loads them in place."""

    @abstractmethod
    def paths(self) -> Sequence[str]:
        """The parameters that it moves, in order."""

    @abstractmethod
    def moments(self, path: str) -> tuple[Tensor, ...]:
        """The numbers that are kept for each entry of a parameter, ``[seeds, copies, ...]`` each, to be changed."""

    def beside_moments(self, path: str) -> tuple[Tensor, ...]:
        """Tensors ``[seeds, ...]`` of other shapes that are kept for a parameter, such as a preconditioner."""
        return ()

    @abstractmethod
    def count(self, path: str) -> Tensor:
        """Steps that a parameter has taken since its moments began, ``[seeds]``, to be changed in place."""

    @abstractmethod
    def clock(self) -> Tensor:
        """Steps since the schedules began, ``[seeds]``, to be changed in place."""

    def begin_anew(self, path: str, seeds: Tensor) -> None:
        """For a mask ``[seeds]``: count a parameter's steps from 0, as its moments, already zero, begin again."""
        self.count(path)[seeds] = 0

    def begin_schedules(self, seeds: Tensor) -> None:
        """Count updates of the schedules from 0, for a mask ``[seeds]``."""
        self.clock()[seeds] = 0

    def counters(self) -> tuple[Tensor, ...]:
        """What belongs to no parameter, ``[seeds, ...]`` each: the clock first."""
        return (self.clock(),)

    def origin(self, path: str) -> Tensor | None:
        """The value that the steps of a parameter count from, ``[seeds, copies, ...]``; it outlasts its moments."""
        return None


class CountingState(OptimizerState):
    """A state that counts the steps of each parameter and of the whole, in float64."""

    def __init__(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, learning_rate: Schedule
    ) -> None:
        """``parameters [seeds, copies, ...]`` by path are moved in place."""
        self._paths, self._parameters = list(parameters), list(parameters.values())
        seeds, device = hyperparameters.seeds, self._parameters[0].device
        # float32 stops counting at 16.8 million.
        self._clock = torch.zeros(seeds, dtype=torch.float64, device=device)
        self._steps = torch.zeros(seeds, len(self._paths), dtype=torch.float64, device=device)
        self._rate = learning_rate.build(hyperparameters)

    @override
    def paths(self) -> Sequence[str]:
        return self._paths

    @override
    def count(self, path: str) -> Tensor:
        return self._steps[:, self._paths.index(path)]

    @override
    def clock(self) -> Tensor:
        return self._clock

    def _zeros(self) -> list[Tensor]:
        """A moment of each parameter, at its beginning."""
        return [torch.zeros_like(parameter, requires_grad=False) for parameter in self._parameters]


def carry(
    old: OptimizerState, new: OptimizerState, moment: Callable[[str, Tensor], Tensor] = lambda path, value: value
) -> None:
    """Copy counters, and all that is kept for parameters that both move, between two states of one kind.

    ``moment`` gives an old moment of a parameter the parameter's present shape; what is kept beside moments begins anew
    where its shape has changed.
    """
    for theirs, ours in zip(old.counters(), new.counters(), strict=True):
        ours.copy_(theirs)
    for path in set(old.paths()) & set(new.paths()):
        new.count(path).copy_(old.count(path))
        for theirs, ours in zip(old.moments(path), new.moments(path), strict=True):
            ours.copy_(moment(path, theirs))
        then, now = old.origin(path), new.origin(path)
        if then is not None and now is not None:
            now.copy_(then)
        for theirs, ours in zip(old.beside_moments(path), new.beside_moments(path), strict=True):
            if theirs.shape == ours.shape:
                ours.copy_(theirs)


class AdamState(CountingState):
    """Moments ``[seeds, copies, ...]`` of Adam with decoupled weight decay."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        hyperparameters: Hyperparameters,
        learning_rate: Schedule,
        beta1: float,
        beta2: float,
        epsilon: float,
        weight_decay: float,
        decayed: Collection[str],
        max_gradient_norm: float | None = None,
        rectifies: bool = False,
    ) -> None:
        """``rectifies``: the first steps do without the second moment, arXiv:1908.03265."""
        super().__init__(parameters, hyperparameters, learning_rate)
        self._first, self._second = self._zeros(), self._zeros()
        numbers = (beta1, beta2, epsilon, weight_decay)
        self._beta1, self._beta2, self._epsilon, self._decay = (
            hyperparameters.number(each, dtype=torch.float64) for each in numbers
        )
        self._max_norm = None if max_gradient_norm is None else hyperparameters.number(max_gradient_norm)
        self._rectifies = rectifies
        self._decayed = [weight_decay > 0 and path in decayed for path in self._paths]

    @override
    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step, arXiv:1711.05101 algorithm 2: decay first, then the bias-corrected Adam direction."""
        if self._max_norm is not None:
            gradients = clip_by_global_norm(gradients, self._max_norm)
        rate = self._rate(self._clock)
        self._clock.add_(1)
        self._steps.add_(1)
        if not self._rectifies and can_fuse(self._parameters, self._first, self._second):
            numbers = Numbers(rate, self._beta1, self._beta2, self._epsilon, self._decay)
            moments = self._first, self._second
            return fused_step(self._parameters, gradients, *moments, self._decayed, self._steps, numbers)
        self._plain_step(gradients, rate)

    def _plain_step(self, gradients: Sequence[Tensor], rate: Tensor) -> None:
        """The step as single operations, which a compiler fuses."""
        # Rows are parameters from here on.
        unbias1 = (1 - self._beta1**self._steps.mT).float()
        unbias2 = (1 - self._beta2**self._steps.mT).float()
        shrink = (1 - rate * self._decay).float()
        keep2, take1, take2 = self._beta2.float(), (1 - self._beta1).float(), (1 - self._beta2).float()
        epsilon, sizes = self._epsilon.float(), unbias1 / rate
        rectified = rectification(self._steps, self._beta2).mT.float() if self._rectifies else unbias2
        for parameter, gradient, first, second, decays, unbias, size, factor in zip(
            self._parameters,
            gradients,
            self._first,
            self._second,
            self._decayed,
            unbias2,
            sizes,
            rectified,
            strict=True,
        ):
            first.lerp_(gradient, _each(take1, gradient))
            # One temporary at a time: fresh memory costs more than the arithmetic of a large layer.
            second.mul_(_each(keep2, gradient)).add_((gradient * gradient).mul_(_each(take2, gradient)))
            scale = (second / _each(unbias, gradient)).sqrt_().add_(_each(epsilon, gradient))
            if self._rectifies:
                share = _each(factor, gradient)
                scale = torch.where(share > 0, scale / share.clamp_min(1e-6), 1.0)
            if decays:
                parameter.mul_(_each(shrink, gradient))
            parameter.addcdiv_(first, scale.mul_(_each(size, gradient)), value=-1)

    @override
    def tensors(self) -> dict[str, Tensor]:
        """``clock``, ``steps``, and ``first.PATH`` and ``second.PATH`` for each parameter."""
        named = {"clock": self._clock, "steps": self._steps}
        for path, first, second in zip(self._paths, self._first, self._second, strict=True):
            named |= {f"first.{path}": first, f"second.{path}": second}
        return named

    @override
    def moments(self, path: str) -> tuple[Tensor, ...]:
        index = self._paths.index(path)
        return self._first[index], self._second[index]


def rectification(steps: Tensor, beta2: Tensor) -> Tensor:
    """The factor on Adam's step after ``steps [seeds, P]``, 0 where ``rho <= 5``: there the second moment is left out.

    Source: arXiv:1908.03265, algorithm 2, whose ``rho <= 4`` torch and optax replace by 5.
    """
    decay, longest = beta2[:, None] ** steps, (2 / (1 - beta2) - 1)[:, None]
    rho = longest - 2 * steps * decay / (1 - decay)
    share = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
    return torch.where(rho > 5, share, 0.0).clamp_min(0).sqrt()


def clip_by_global_norm(gradients: Sequence[Tensor], max_norm: Tensor) -> list[Tensor]:
    """Gradients ``[seeds, copies, ...]``, scaled down where the norm over all of a seed exceeds ``max_norm [seeds]``.

    As ``torch.nn.utils.clip_grad_norm_``. Source: Pascanu et al., arXiv:1211.5063.
    """
    norms = torch.stack([torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients])
    factor = (max_norm / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
    return [gradient * _each(factor, gradient) for gradient in gradients]


def _each(scalar: Tensor, like: Tensor) -> Tensor:
    """``[seeds]`` shaped to broadcast against a parameter; a single seed broadcasts as it is."""
    return scalar if scalar.shape[0] == 1 else scalar.view(-1, *[1] * (like.ndim - 1))
