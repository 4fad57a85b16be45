"""From an environment's own observations to what the agent sees, and from the agent's actions to its own, as modules.

They compute what the environments of ``composer.environments.suites`` do, number for number.
Legend: n batch. Tests: tests/training/export/test_export.py.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn
from typing_extensions import override

from composer.environments.native import NativeAction, NativePart, NativeSpaces
from composer.spec.shape import Shape

Observation: TypeAlias = Tensor | dict[str, Tensor]
"""Of a batch: one array, or arrays by the name of their part."""


class Encoder(nn.Module):
    """The parts of an observation, each encoded, joined to ``[n, *shape]``."""

    def __init__(self, spaces: NativeSpaces, shape: Shape) -> None:
        super().__init__()
        self._parts, self._shape = spaces.parts, tuple(shape)

    @override
    def forward(self, observation: Observation) -> Tensor:
        """Numbers in float32, pictures in bytes."""
        if isinstance(observation, Tensor):
            encoded = _encoded(self._parts[0], observation)
        else:
            encoded = torch.cat([_encoded(part, observation[part.name]) for part in self._parts], 1)
        return encoded.reshape(-1, *self._shape)


class Decoder(nn.Module):
    """Actions ``[n, a]`` in [-1, 1], or one-hot, in the environment's own units."""

    scale: Tensor | None
    offset: Tensor
    low: Tensor | None
    high: Tensor

    def __init__(self, action: NativeAction) -> None:
        super().__init__()
        self._action, self._dtype = action, getattr(torch, action.dtype)
        for name, dtype in (("scale", torch.float64), ("offset", torch.float64), ("low", None), ("high", None)):
            values = torch.tensor(getattr(action, name), dtype=torch.float64)
            self.register_buffer(name, values.to(dtype or self._dtype) if len(values) else None)

    @override
    def forward(self, action: Tensor) -> Tensor:
        """``[n, *shape]``, or indices ``[n]``."""
        if self._action.count:
            return action.argmax(-1) + self._action.start
        if self.scale is not None:
            action = action.double() * self.scale + self.offset
        action = action.to(self._dtype)
        if self.low is not None:  # Rounding may step over a bound by the last bit.
            action = torch.minimum(torch.maximum(action, self.low), self.high)
        return action.reshape(-1, *self._action.shape)


def _encoded(part: NativePart, raw: Tensor) -> Tensor:
    if part.encoding == "one-hot":
        return (raw[:, None] == torch.arange(part.start, part.start + part.count)).float()
    if part.encoding == "channels first":
        return raw.movedim(-1, 1)
    return raw.reshape(-1, part.size).float() if part.encoding == "flat" else raw
