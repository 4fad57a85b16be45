"""Steps of SGD and RMSProp on stacked parameters ``[seeds, copies, ...]``. Tests: tests/optim/test_sgd.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from composer.networks.stacked import per_seed
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Schedule
from composer.optim.steps import CountingState, clip_by_global_norm


class _Slots(CountingState):
    """A state with named running tensors, each in the shapes of the parameters."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        hyperparameters: Hyperparameters,
        learning_rate: Schedule,
        names: Sequence[str],
        max_gradient_norm: float | None,
    ) -> None:
        super().__init__(parameters, hyperparameters, learning_rate)
        self._slots = {name: self._zeros() for name in names}
        self._max_norm = None if max_gradient_norm is None else hyperparameters.number(max_gradient_norm)

    def _counted(self, gradients: Sequence[Tensor]) -> tuple[Sequence[Tensor], Tensor]:
        """The gradients within their bound, and the learning rate of this step, ``[seeds]``; both clocks move on."""
        rate = self._rate(self._clock).float()
        self._clock.add_(1)
        self._steps.add_(1)
        return gradients if self._max_norm is None else clip_by_global_norm(gradients, self._max_norm), rate

    @override
    def tensors(self) -> dict[str, Tensor]:
        """``clock``, ``steps``, and ``NAME.PATH`` of each running tensor."""
        named = {"clock": self._clock, "steps": self._steps}
        for name, values in self._slots.items():
            named |= {f"{name}.{path}": value for path, value in zip(self._paths, values, strict=True)}
        return named

    @override
    def moments(self, path: str) -> tuple[Tensor, ...]:
        index = self._paths.index(path)
        return tuple(values[index] for values in self._slots.values())


class SgdState(_Slots):
    """The velocity, where there is a momentum."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        hyperparameters: Hyperparameters,
        learning_rate: Schedule,
        momentum: float,
        nesterov: bool,
        max_gradient_norm: float | None = None,
    ) -> None:
        names = ("velocity",) if momentum > 0 else ()
        super().__init__(parameters, hyperparameters, learning_rate, names, max_gradient_norm)
        self._momentum, self._nesterov = hyperparameters.number(momentum), nesterov

    @override
    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step of ``torch.optim.SGD`` without dampening."""
        gradients, rate = self._counted(gradients)
        for index, (parameter, gradient) in enumerate(zip(self._parameters, gradients, strict=True)):
            direction = gradient
            if self._slots:
                keep, velocity = per_seed(self._momentum, gradient), self._slots["velocity"][index]
                velocity.mul_(keep).add_(gradient)
                direction = gradient + keep * velocity if self._nesterov else velocity
            parameter.sub_(per_seed(rate, gradient) * direction)


class RmspropState(_Slots):
    """The running mean square; with ``centered`` the running mean; with a momentum the velocity."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        hyperparameters: Hyperparameters,
        learning_rate: Schedule,
        beta2: float,
        epsilon: float,
        momentum: float,
        centered: bool,
        inside: bool,
        max_gradient_norm: float | None = None,
    ) -> None:
        names = ("square", *(("mean",) if centered else ()), *(("velocity",) if momentum > 0 else ()))
        super().__init__(parameters, hyperparameters, learning_rate, names, max_gradient_norm)
        self._beta2 = hyperparameters.number(beta2, dtype=torch.float64)
        self._inside = inside
        self._epsilon, self._momentum = map(hyperparameters.number, (epsilon, momentum))

    @override
    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step of ``torch.optim.RMSprop``; of TensorFlow's where epsilon is inside."""
        gradients, rate = self._counted(gradients)
        keep, take = self._beta2.float(), (1 - self._beta2).float()
        for index, (parameter, gradient) in enumerate(zip(self._parameters, gradients, strict=True)):
            square = self._slots["square"][index]
            # Two temporaries at most: fresh memory costs more than the arithmetic of a large layer.
            scratch = gradient * gradient
            square.mul_(per_seed(keep, gradient)).add_(scratch.mul_(per_seed(take, gradient)))
            if "mean" in self._slots:
                mean = self._slots["mean"][index]
                mean.lerp_(gradient, per_seed(take, gradient))
                # Rounding makes the variance of gradients that stay as they are less than 0; torch's root of it is NaN.
                scratch.copy_(mean).mul_(mean).neg_().add_(square).clamp_min_(0)
            else:
                scratch.copy_(square)
            epsilon = per_seed(self._epsilon, gradient)
            scratch = scratch.add_(epsilon).sqrt_() if self._inside else scratch.sqrt_().add_(epsilon)
            scratch = gradient / scratch
            if "velocity" in self._slots:
                velocity = self._slots["velocity"][index]
                scratch.copy_(velocity.mul_(per_seed(self._momentum, gradient)).add_(scratch))
            parameter.sub_(scratch.mul_(per_seed(rate, gradient)))
