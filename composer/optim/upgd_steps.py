"""Steps of UPGD on stacked parameters, arXiv:2404.00781. Tests: tests/papers/test_upgd.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import vmap
from typing_extensions import override

from composer.networks.modules.noise import normal
from composer.networks.stacked import per_seed
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Schedule
from composer.optim.steps import CountingState


class UtilityState(CountingState):
    """Utilities ``[seeds, copies, ...]`` and a random stream for each seed."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        hyperparameters: Hyperparameters,
        keys: Sequence[int],
        learning_rate: Schedule,
        beta: float,
        sigma: float,
        weight_decay: float,
        decayed: Collection[str],
        protects: bool = True,
    ) -> None:
        """``protects``: utilities scale gradients too, not noise alone."""
        super().__init__(parameters, hyperparameters, learning_rate)
        self._utilities, device = self._zeros(), self._clock.device
        self._keys = hyperparameters.keep(torch.tensor(list(keys), dtype=torch.int64, device=device))
        self._draws = torch.zeros_like(self._keys)
        numbers = (beta, sigma, weight_decay)
        self._beta, self._sigma, self._decay = (hyperparameters.number(each, dtype=torch.float64) for each in numbers)
        self._protects = protects
        self._decayed = [weight_decay > 0 and path in decayed for path in self._paths]

    @override
    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step: utilities of all parameters first, for the largest of them."""
        rate = self._rate(self._clock)
        self._clock.add_(1)
        self._steps.add_(1)
        unbias, take = (1 - self._beta**self._steps.mT).float(), (1 - self._beta).float()
        for parameter, gradient, utility in zip(self._parameters, gradients, self._utilities, strict=True):
            utility.lerp_(-gradient * parameter, per_seed(take, utility))
        corrected = [utility / per_seed(row, utility) for utility, row in zip(self._utilities, unbias, strict=True)]
        largest = torch.stack([utility.flatten(1).amax(1) for utility in corrected]).amax(0)
        is_useful = largest > 0
        scale = torch.where(is_useful, largest, 1.0)
        shrink, sigma = (1 - rate * self._decay).float(), self._sigma.float()
        for parameter, gradient, utility, decays in zip(
            self._parameters, gradients, corrected, self._decayed, strict=True
        ):
            scaled = torch.where(per_seed(is_useful, utility), utility / per_seed(scale, utility), 0.0)
            noise = per_seed(sigma, utility) * self._noise(parameter)
            if decays:
                parameter.mul_(per_seed(shrink, utility))
            # 1 - sigmoid(u) = sigmoid(-u), without cancellation.
            idle = torch.sigmoid(-scaled)
            if self._protects:
                parameter.sub_(per_seed(rate, utility) * (gradient + noise) * idle)
            else:
                parameter.sub_(per_seed(rate, utility) * (gradient + noise * idle))

    def _noise(self, like: Tensor) -> Tensor:
        """Unit-normal draws in the shape of a parameter, each seed's from its own stream."""
        shape = tuple(like.shape[1:])
        drawn: Tensor = vmap(lambda key, draws: normal(key, draws, shape))(self._keys, self._draws)
        self._draws.add_(1)
        return drawn

    @override
    def tensors(self) -> dict[str, Tensor]:
        """``clock``, ``steps``, ``keys``, ``draws``, and ``utility.PATH`` for each parameter."""
        named = {"clock": self._clock, "steps": self._steps, "keys": self._keys, "draws": self._draws}
        return named | {f"utility.{path}": value for path, value in zip(self._paths, self._utilities, strict=True)}

    @override
    def moments(self, path: str) -> tuple[Tensor, ...]:
        return (self._utilities[self._paths.index(path)],)

    @override
    def counters(self) -> tuple[Tensor, ...]:
        """The clock, and the count of draws."""
        return self._clock, self._draws
