"""Projection of features onto the unit sphere as a module. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from torch import Tensor, nn

from composer.networks.modules.projection import to_unit_norm


class UnitNorm(nn.Module):
    """``x / max(|x|, 1e-8)`` over the last axis, the norm being Euclidean: ``[..., n] -> [..., n]``."""

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of norm 1; zeros stay zeros."""
        return to_unit_norm(x, -1)
