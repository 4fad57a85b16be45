"""Blocks: what networks are made of. Importing this package registers every kind; none of it imports torch."""

from composer.blocks.activations import Elu, Gelu, Mish, Relu, Sigmoid, Silu, Tanh
from composer.blocks.append import Append
from composer.blocks.attention import Attention
from composer.blocks.base import Block
from composer.blocks.batch_norm import BatchNorm, BatchRenorm
from composer.blocks.class_token import ClassToken
from composer.blocks.conv import Conv
from composer.blocks.crelu import CRelu
from composer.blocks.detached import Detached
from composer.blocks.dropout import Dropout
from composer.blocks.flatten import Flatten
from composer.blocks.fourier_features import FourierFeatures
from composer.blocks.frozen import Frozen
from composer.blocks.group_norm import GroupNorm
from composer.blocks.hyperspherical_linear import HypersphericalLinear
from composer.blocks.identity import Identity
from composer.blocks.lerp_residual import LerpResidual
from composer.blocks.linear import Linear
from composer.blocks.min_max import MinMax
from composer.blocks.noisy_linear import NoisyLinear
from composer.blocks.normalization import LayerNorm, RmsNorm
from composer.blocks.parallel import Parallel
from composer.blocks.patches import Patches
from composer.blocks.planes import Planes
from composer.blocks.pooling import AveragePool, GlobalAveragePool, MaxPool
from composer.blocks.position_embedding import PositionEmbedding
from composer.blocks.reparameterised import SpectralNorm, WeightNorm
from composer.blocks.repeat import Repeat
from composer.blocks.residual import Residual
from composer.blocks.restore_width import RestoreWidth
from composer.blocks.rs_norm import RsNorm
from composer.blocks.scale import Scale
from composer.blocks.scaler import Scaler
from composer.blocks.sequence import Sequence
from composer.blocks.soft_moe import SoftMoe
from composer.blocks.token_pooling import MeanTokens, SelectToken
from composer.blocks.tokens import SplitTokens, Tokens
from composer.blocks.top1_moe import Top1Moe
from composer.blocks.unit_norm import UnitNorm

__all__ = [
    "Append",
    "Attention",
    "AveragePool",
    "BatchNorm",
    "BatchRenorm",
    "Block",
    "CRelu",
    "ClassToken",
    "Conv",
    "Detached",
    "Dropout",
    "Elu",
    "Flatten",
    "FourierFeatures",
    "Frozen",
    "Gelu",
    "GlobalAveragePool",
    "GroupNorm",
    "HypersphericalLinear",
    "Identity",
    "LayerNorm",
    "LerpResidual",
    "Linear",
    "MaxPool",
    "MeanTokens",
    "MinMax",
    "Mish",
    "NoisyLinear",
    "Parallel",
    "Patches",
    "Planes",
    "PositionEmbedding",
    "Relu",
    "Repeat",
    "Residual",
    "RestoreWidth",
    "RmsNorm",
    "RsNorm",
    "Scale",
    "Scaler",
    "SelectToken",
    "Sequence",
    "Sigmoid",
    "Silu",
    "SoftMoe",
    "SpectralNorm",
    "SplitTokens",
    "Tanh",
    "Tokens",
    "Top1Moe",
    "UnitNorm",
    "WeightNorm",
]
