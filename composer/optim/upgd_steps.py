"""Steps of UPGD on stacked parameters, arXiv:2404.00781. Tests: tests/papers/test_upgd.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import vmap

from composer.networks.modules.noise import normal
from composer.optim.hyperparameters import kept, number
from composer.optim.schedules import Schedule


class UtilityState:
    """Utilities ``[seeds, copies, ...]``, step counts ``[seeds, parameters]`` and a random stream of each seed."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        keys: Sequence[int],
        learning_rate: Schedule,
        beta: float,
        sigma: float,
        weight_decay: float,
        decayed: Collection[str],
    ) -> None:
        self._paths = list(parameters)
        self._parameters = list(parameters.values())
        self._utilities = [torch.zeros_like(p, requires_grad=False) for p in self._parameters]
        seeds, device = len(keys), self._parameters[0].device
        self._clock = torch.zeros(seeds, dtype=torch.float64, device=device)
        self._steps = torch.zeros(seeds, len(self._paths), dtype=torch.float64, device=device)
        self._keys = kept(torch.tensor(list(keys), dtype=torch.int64, device=device))
        self._draws = torch.zeros(seeds, dtype=torch.int64, device=device)
        self._rate = learning_rate.build(seeds, str(device))
        # Numbers enter as tensors: a variant with other numbers runs the same compiled program.
        self._beta, self._sigma, self._decay = (
            number(each, (seeds,), device, torch.float64) for each in (beta, sigma, weight_decay)
        )
        self._decayed = [weight_decay > 0 and path in decayed for path in self._paths]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step: utilities of all parameters first, for the largest of them."""
        rate = self._rate(self._clock)
        self._clock.add_(1)
        self._steps.add_(1)
        unbias, take = (1 - self._beta**self._steps.mT).float(), (1 - self._beta).float()
        for parameter, gradient, utility in zip(self._parameters, gradients, self._utilities, strict=True):
            utility.lerp_(-gradient * parameter, _each(take, utility))
        corrected = [utility / _each(row, utility) for utility, row in zip(self._utilities, unbias, strict=True)]
        largest = torch.stack([utility.flatten(1).amax(1) for utility in corrected]).amax(0)
        is_useful = largest > 0
        scale = torch.where(is_useful, largest, 1.0)
        shrink, sigma = (1 - rate * self._decay).float(), self._sigma.float()
        for parameter, gradient, utility, decays in zip(
            self._parameters, gradients, corrected, self._decayed, strict=True
        ):
            scaled = torch.where(_each(is_useful, utility), utility / _each(scale, utility), 0.0)
            direction = gradient + _each(sigma, utility) * self._noise(parameter)
            if decays:
                parameter.mul_(_each(shrink, utility))
            # 1 - sigmoid(u) = sigmoid(-u), without cancellation.
            parameter.sub_(_each(rate, utility) * direction * torch.sigmoid(-scaled))

    def _noise(self, like: Tensor) -> Tensor:
        """Unit-normal draws in the shape of a parameter, each seed's from its own stream."""
        shape = tuple(like.shape[1:])
        drawn: Tensor = vmap(lambda key, draws: normal(key, draws, shape))(self._keys, self._draws)
        self._draws.add_(1)
        return drawn

    def tensors(self) -> dict[str, Tensor]:
        """``clock``, ``steps``, ``keys``, ``draws``, and ``utility.PATH`` for every parameter."""
        named = {"clock": self._clock, "steps": self._steps, "keys": self._keys, "draws": self._draws}
        return named | {f"utility.{path}": value for path, value in zip(self._paths, self._utilities, strict=True)}

    def paths(self) -> Sequence[str]:
        """In their order."""
        return self._paths

    def moments(self, path: str) -> tuple[Tensor, ...]:
        """The utility."""
        return (self._utilities[self._paths.index(path)],)

    def count(self, path: str) -> Tensor:
        """A column of the counts."""
        return self._steps[:, self._paths.index(path)]

    def clock(self) -> Tensor:
        """Steps since the schedules began, ``[seeds]``."""
        return self._clock

    def counters(self) -> tuple[Tensor, ...]:
        """The clock, and how many draws have been made."""
        return self._clock, self._draws


def _each(scalar: Tensor, like: Tensor) -> Tensor:
    """``[seeds]`` shaped to broadcast against a parameter."""
    return scalar.view(-1, *[1] * (like.ndim - 1))
