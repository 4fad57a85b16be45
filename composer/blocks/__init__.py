"""Blocks: what networks are made of. Importing this package registers every kind; none of it imports torch."""

from composer.blocks.activations import Elu, Gelu, Relu, Silu, Tanh
from composer.blocks.base import Block
from composer.blocks.linear import Linear
from composer.blocks.normalization import LayerNorm, RmsNorm
from composer.blocks.repeat import Repeat
from composer.blocks.residual import Residual
from composer.blocks.sequence import Sequence

__all__ = [
    "Block",
    "Elu",
    "Gelu",
    "LayerNorm",
    "Linear",
    "Relu",
    "Repeat",
    "Residual",
    "RmsNorm",
    "Sequence",
    "Silu",
    "Tanh",
]
