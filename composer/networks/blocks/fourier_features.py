"""Sinusoids of random directions. Tests: tests/networks/test_blocks.py, tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import MAX_WIDTH, Block, last_axis, plan
from composer.networks.initializers import Normal
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class FourierFeatures(Block, kind="fourier_features"):
    """Cosines, then sines, of random projections: ``[..., n] -> [..., 2 m]``, ``(cos 2 pi B x, sin 2 pi B x)``.

    The entries of ``B`` [m, n] are normal of mean 0 and standard deviation ``scale``: the larger, the finer the detail
    that what follows can fit. They stay as drawn unless ``trainable``. Operations: two per entry of ``B``, three per
    angle. Source: Tancik et al., arXiv:2006.10739; trainable: Li and Pathak, arXiv:2112.03257.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "fourier_features", "frequencies": 64, "scale": 0.5}

    frequencies: Annotated[int, Field(ge=1, le=MAX_WIDTH // 2)]
    """Number m of random directions; the output is twice as wide."""
    scale: Annotated[float, Field(gt=0, le=1e4)] = 1.0
    """Standard deviation of the frequencies, in periods for each unit of the input."""
    trainable: bool = False
    """Whether gradients change the frequencies."""

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``frequencies`` [m, n], frozen unless ``trainable``."""
        width, m = last_axis(shape, self.kind), self.frequencies
        drawn = plan((m, width), Normal(std=self.scale), width, m, "scale")
        parameters = {"frequencies": replace(drawn, trainable=self.trainable)}
        flops = math.prod(shape[:-1]) * m * (2 * width + 3)
        return Outline(self.kind, shape, (*shape[:-1], 2 * m), parameters, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.fourier_features.FourierFeatures``."""
        width = last_axis(shape, self.kind)
        return call(
            "composer.networks.modules.fourier_features:FourierFeatures",
            width,
            self.frequencies,
            trainable=self.trainable,
        )
