"""Block-diagonal layers as modules. Source: Hafner et al., arXiv:2301.04104. Tests: tests/papers/test_rssm.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


class BlockLinear(nn.Module):
    """A dense layer with a block-diagonal weight: ``[..., in] -> [..., out]``."""

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        """``blocks`` divides both sizes."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs // blocks))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.blocks = blocks

    def forward(self, x: Tensor) -> Tensor:
        """Each group of outputs reads its group of inputs."""
        parts = x.unflatten(-1, (self.blocks, -1))
        kernels = self.weight.unflatten(0, (self.blocks, -1))
        return torch.einsum("...gi,goi->...go", parts, kernels).flatten(-2) + self.bias


class BlockGRU(nn.Module):
    """``[..., width + latent + rest] -> [..., width]``: the next recurrent state."""

    def __init__(self, width: int, latents: int, blocks: int, **layers: nn.Module) -> None:
        """Layers ``state``, ``latent``, ``action``, ``mixed``, ``gates``, and ``NAME_norm`` of the first four."""
        super().__init__()
        self.width, self.blocks = width, blocks
        self._latents = latents
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """``h' = u c + (1 - u) h``."""
        state, latent, action = x.tensor_split((self.width, self.width + self._latents), -1)
        named = {"state": state, "latent": latent, "action": action}
        inputs = torch.cat([self._layer(name, part) for name, part in named.items()], -1)
        groups = state.unflatten(-1, (self.blocks, -1))
        repeated = inputs.unsqueeze(-2).expand(*groups.shape[:-1], -1)
        mixed = self._layer("mixed", torch.cat([groups, repeated], -1).flatten(-2))
        gates = self.get_submodule("gates")(mixed).unflatten(-1, (self.blocks, -1))
        reset, candidate, update = (gate.flatten(-2) for gate in gates.chunk(3, -1))
        candidate = torch.tanh(torch.sigmoid(reset) * candidate)
        update = torch.sigmoid(update - 1)
        return update * candidate + (1 - update) * state

    def _layer(self, name: str, x: Tensor) -> Tensor:
        normed: Tensor = silu(self.get_submodule(f"{name}_norm")(self.get_submodule(name)(x)))
        return normed
