"""Heads as modules. ``[...]`` are batch axes, ``n`` the features, ``a`` the actions, ``N`` quantiles.

Specs: composer/networks/heads/. Tests: tests/networks/test_heads.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from composer.networks.modules.noise import uniform


class DenseHead(nn.Module):
    """A dense layer whose output is laid out as ``shape``: ``[..., n] -> [..., *shape]``."""

    def __init__(self, linear: nn.Module, shape: tuple[int, ...]) -> None:
        """``linear`` gives as many numbers as ``shape`` has entries: one for the shape of a scalar, ()."""
        super().__init__()
        self.linear = linear
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Output [..., *shape]."""
        flat: Tensor = self.linear(x)
        return flat.reshape(flat.shape[:-1] + self.shape)


class DuelingHead(nn.Module):
    """A state value plus advantages of mean zero, entry by entry: ``[..., n] -> [..., a]`` or ``[..., a, N]``."""

    def __init__(self, value: nn.Module, advantage: nn.Module, axis: int) -> None:
        """The output of ``value`` has one entry on the axis of actions ``axis``, counted from the end."""
        super().__init__()
        self.value = value
        self.advantage = advantage
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """``v + a - mean(a)``. Eq. 9, arXiv:1511.06581."""
        advantage: Tensor = self.advantage(x)
        output: Tensor = self.value(x) + advantage - advantage.mean(self.axis, keepdim=True)
        return output


class ImplicitQuantileHead(nn.Module):
    """Quantiles of a return at levels tau: ``[..., n] -> ([..., N], [..., N])``, or ``[..., a, N]`` each.

    The buffers ``key`` and ``draws`` are a random stream, of which training mode takes one draw a forward pass.
    """

    key: Tensor
    draws: Tensor

    def __init__(
        self, embedding: nn.Module, output: nn.Module, samples: int, cosines: int, has_actions: bool = False
    ) -> None:
        """``embedding`` maps [N, cosines] to [N, n], ``output`` [..., N, n] to [..., N, 1] or [..., N, a]."""
        super().__init__()
        self.embedding = embedding
        self.output = output
        self.samples = samples
        self.cosines = cosines
        self.has_actions = has_actions
        self.register_buffer("key", torch.zeros((), dtype=torch.int64))
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(quantiles, levels) of one shape: drawn levels in training mode, midpoints in evaluation mode."""
        levels = self._levels(x)
        frequencies = math.pi * torch.arange(1, self.cosines + 1, device=x.device, dtype=x.dtype)
        embedded = torch.relu(self.embedding(torch.cos(levels[..., None] * frequencies)))
        quantiles: Tensor = self.output(x[..., None, :] * embedded)
        quantiles = quantiles.mT if self.has_actions else quantiles.squeeze(-1)
        return quantiles, (levels[..., None, :] if self.has_actions else levels).expand_as(quantiles)

    def _levels(self, x: Tensor) -> Tensor:
        """``[..., N]`` drawn anew, or ``[N]`` midpoints."""
        if not self.training:
            return (torch.arange(self.samples, device=x.device, dtype=x.dtype) + 0.5) / self.samples
        levels = uniform(self.key, self.draws, (*x.shape[:-1], self.samples)).to(x.dtype)
        self.draws.add_(1)
        return levels


class TanhGaussianHead(nn.Module):
    """Mean and bounded log standard deviation of a Gaussian before its tanh: ``[..., n] -> ([..., a], [..., a])``."""

    def __init__(
        self, mean: nn.Module, log_std: nn.Module, log_std_min: float, log_std_max: float, clips: bool = False
    ) -> None:
        """``log_std_min < log_std_max`` bound the second output (natural logarithm), cut there if it ``clips``."""
        super().__init__()
        self.mean = mean
        self.log_std = log_std
        self.log_std_min, self.log_std_max = log_std_min, log_std_max
        self.half_range = (log_std_max - log_std_min) / 2
        self.clips = clips

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log_std); unless it clips, the bound is smooth, so that gradients survive at it."""
        log_std = self.log_std(x)
        if self.clips:
            return self.mean(x), log_std.clamp(self.log_std_min, self.log_std_max)
        return self.mean(x), self.log_std_min + self.half_range * (1 + torch.tanh(log_std))


class GaussianHead(nn.Module):
    """Mean and log deviation of normals, the second the same for every input: ``[..., n] -> ([..., a], [..., a])``."""

    def __init__(
        self,
        mean: nn.Module,
        actions: int,
        tanh_mean: bool = False,
        log_std_min: float | None = None,
        log_std_max: float | None = None,
    ) -> None:
        """``mean`` maps features to ``actions`` numbers, which a tanh follows where ``tanh_mean``."""
        super().__init__()
        self.log_std = nn.Parameter(torch.zeros(actions))
        self.mean = mean
        self.tanh_mean = tanh_mean
        self.log_std_min, self.log_std_max = log_std_min, log_std_max

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log_std), clipped to its bounds where it has some."""
        mean: Tensor = self.mean(x)
        log_std: Tensor = self.log_std
        if self.log_std_min is not None or self.log_std_max is not None:
            log_std = log_std.clamp(self.log_std_min, self.log_std_max)
        return torch.tanh(mean) if self.tanh_mean else mean, log_std.expand_as(mean)


class BoundedNormalHead(nn.Module):
    """Mean and log deviation of normals, both bounded and of the state: ``[..., n] -> ([..., a], [..., a])``."""

    def __init__(self, mean: nn.Module, deviation: nn.Module, low: float, high: float) -> None:
        """``low < high`` bound the standard deviation."""
        super().__init__()
        self.mean = mean
        self.deviation = deviation
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log_std)."""
        deviation = self.low + (self.high - self.low) * torch.sigmoid(self.deviation(x) + 2.0)
        return torch.tanh(self.mean(x)), torch.log(deviation)


class DeterministicTanhHead(nn.Module):
    """A linear map squashed into the action box: ``[..., n] -> [..., a]`` in [-1, 1]."""

    def __init__(self, linear: nn.Module) -> None:
        """``linear`` maps features to actions."""
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """Actions [..., a]."""
        return torch.tanh(self.linear(x))
