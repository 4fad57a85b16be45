"""Dense layers and a gated recurrent step whose large weights are block-diagonal. Tests: tests/papers/test_rssm.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.blocks.base import Block, Epsilon, Width, last_axis, plan
from composer.networks.blocks.linear import Linear
from composer.networks.blocks.normalization import RmsNorm
from composer.networks.initializers import Initializer, LecunNormal, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError

Blocks = Annotated[int, Field(ge=1, le=4096)]
_MODULES = "composer.networks.modules.block_linear"


class BlockLinear(Block, kind="block_linear"):
    """Dense layer with a block-diagonal weight: ``[..., in] -> [..., width]``.

    Input and output are dealt into ``blocks`` groups of consecutive features, and each group of outputs reads its group
    of inputs alone. Initialisers count all inputs as fan-in, as DreamerV3's code does: divided by the square root of
    ``blocks``, weights are smaller than those of separate layers. Operations: two per weight, one per bias.
    Source: Hafner et al., arXiv:2301.04104.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "block_linear", "width": 32, "blocks": 4}

    width: Width
    """Output features, a multiple of ``blocks``."""
    blocks: Blocks
    """Blocks on the diagonal; a divisor of the number of inputs too."""
    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [width, in / blocks]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [width]."""

    def outline(self, shape: Shape) -> Outline:
        """Parameters ``weight`` [width, in / blocks] and ``bias`` [width]."""
        inputs = last_axis(shape, self.kind)
        for size, name in ((inputs, "input"), (self.width, "output")):
            if size % self.blocks:
                raise ShapeError(f"{size} {name} features cannot be dealt into {self.blocks} blocks", ("blocks",))
        each = inputs // self.blocks
        parameters = {
            "weight": plan((self.width, each), self.weight, inputs, self.width, "weight"),
            "bias": plan((self.width,), self.bias_init, inputs, self.width, "bias_init"),
        }
        flops = math.prod(shape[:-1]) * self.width * (2 * each + 1)
        return Outline(self.kind, shape, (*shape[:-1], self.width), parameters, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.block_linear.BlockLinear``."""
        self.outline(shape)
        return call(f"{_MODULES}:BlockLinear", shape[-1], self.width, self.blocks)


class BlockGru(Block, kind="block_gru"):
    """One step of DreamerV3's recurrent state: ``[width + latent + rest] -> [width]``.

    The input joins the state h, a latent, and what is left (an action). Each passes a dense layer to ``hidden``
    features, RMS norm and SiLU. Each of ``blocks`` groups of h, joined with all three, is read by a block-diagonal
    layer to ``width`` features, RMS norm and SiLU, and these by another to the gates r, c, u of each group. The next
    state is ``u tanh(sigmoid(r) c) + (1 - u) h`` with ``u = sigmoid(u - 1)``, which keeps most of h at first.
    Operations of the layers, and ten per entry of h. Source: Hafner et al., arXiv:2301.04104, and its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "block_gru",
        "width": 8,
        "latent": 6,
        "hidden": 4,
        "blocks": 2,
    }

    width: Width
    """Entries of the state h: the first of the input, and the output; a multiple of ``blocks``."""
    latent: Width
    """Entries of the latent, which follow those of h in the input."""
    hidden: Width
    """Features of each of the three parts of the input."""
    blocks: Blocks = 8
    """Blocks of h."""
    epsilon: Epsilon = 1e-4
    """Added to the mean squares of norms."""
    weight: Initializer = LecunNormal()
    """Initialiser of all weights."""

    def outline(self, shape: Shape) -> Outline:
        """Children by name: a layer and a norm of each part, and the two block-diagonal layers."""
        children = {name: block.outline(taken) for name, (block, taken) in self._children(shape).items()}
        return Outline(self.kind, shape, (self.width,), children=children, flops=10 * self.width, layout="leaf")

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.block_linear.BlockGRU``."""
        children = {name: block.module(taken) for name, (block, taken) in self._children(shape).items()}
        return call(f"{_MODULES}:BlockGRU", self.width, self.latent, self.blocks, **children)

    @override
    def written_blocks(self) -> int:
        return 10  # A layer and a norm of each of three parts; two block-diagonal layers with a norm between them.

    @override
    def widened(self, units: int) -> None:
        """Its width is that of its own input."""

    def _children(self, shape: Shape) -> dict[str, tuple[Block, Shape]]:
        rest = last_axis(shape, self.kind) - self.width - self.latent
        if len(shape) != 1 or rest < 1:
            raise ShapeError(
                f"'block_gru' reads a vector of more than {self.width} + {self.latent} entries, state and latent, got"
                f" {list(shape)}"
            )
        norm, weight, wide = RmsNorm(epsilon=self.epsilon), self.weight, (self.width + 3 * self.hidden * self.blocks,)
        made: dict[str, tuple[Block, Shape]] = {}
        for name, size in (("state", self.width), ("latent", self.latent), ("action", rest)):
            made[name] = Linear(width=self.hidden, weight=weight), (size,)
            made[f"{name}_norm"] = norm, (self.hidden,)
        made["mixed"] = BlockLinear(width=self.width, blocks=self.blocks, weight=weight), wide
        made["mixed_norm"] = norm, (self.width,)
        made["gates"] = BlockLinear(width=3 * self.width, blocks=self.blocks, weight=weight), (self.width,)
        return made
