"""Blocks of networks. Importing this package registers every kind; none of it imports torch."""

from composer.networks.blocks.activations import Elu, Gelu, LeakyRelu, Mish, Relu, Sigmoid, Silu, Tanh
from composer.networks.blocks.append import Append
from composer.networks.blocks.attention import Attention
from composer.networks.blocks.avg_l1_norm import AvgL1Norm
from composer.networks.blocks.base import Block
from composer.networks.blocks.batch_norm import BatchNorm, BatchRenorm
from composer.networks.blocks.block_linear import BlockGru, BlockLinear
from composer.networks.blocks.class_token import ClassToken
from composer.networks.blocks.conv import Conv
from composer.networks.blocks.crelu import CRelu
from composer.networks.blocks.detached import Detached
from composer.networks.blocks.dropout import Dropout
from composer.networks.blocks.except_last import ExceptLast
from composer.networks.blocks.flatten import Flatten
from composer.networks.blocks.fourier_features import FourierFeatures
from composer.networks.blocks.frozen import Frozen
from composer.networks.blocks.group_norm import GroupNorm
from composer.networks.blocks.identity import Identity
from composer.networks.blocks.learned_activations import Prelu, Rational
from composer.networks.blocks.lerp_residual import LerpResidual
from composer.networks.blocks.linear import Linear
from composer.networks.blocks.min_max import MinMax
from composer.networks.blocks.noisy_linear import NoisyLinear
from composer.networks.blocks.normalization import ChannelLayerNorm, ChannelRmsNorm, LayerNorm, RmsNorm
from composer.networks.blocks.parallel import Parallel
from composer.networks.blocks.patches import Patches
from composer.networks.blocks.planes import Planes
from composer.networks.blocks.pooling import AveragePool, GlobalAveragePool, MaxPool
from composer.networks.blocks.position_embedding import PositionEmbedding
from composer.networks.blocks.recurrent import GRU, LSTM
from composer.networks.blocks.reparameterised import SpectralNorm, WeightNorm
from composer.networks.blocks.repeat import Repeat
from composer.networks.blocks.residual import Residual
from composer.networks.blocks.restore_width import RestoreWidth
from composer.networks.blocks.rs_norm import RsNorm
from composer.networks.blocks.scale import Scale
from composer.networks.blocks.scaler import Scaler
from composer.networks.blocks.sequence import Sequence
from composer.networks.blocks.sim_norm import SimNorm
from composer.networks.blocks.sine_cosine import SineCosine
from composer.networks.blocks.slice import Slice
from composer.networks.blocks.soft_moe import SoftMoe
from composer.networks.blocks.token_pooling import MeanTokens, SelectToken
from composer.networks.blocks.tokens import SplitTokens, Tokens
from composer.networks.blocks.top1_moe import Top1Moe
from composer.networks.blocks.unit_norm import UnitNorm
from composer.networks.blocks.upsample import Upsample
from composer.networks.blocks.wired import Wired

__all__ = [
    "GRU",
    "LSTM",
    "Append",
    "Attention",
    "AveragePool",
    "AvgL1Norm",
    "BatchNorm",
    "BatchRenorm",
    "Block",
    "BlockGru",
    "BlockLinear",
    "CRelu",
    "ChannelLayerNorm",
    "ChannelRmsNorm",
    "ClassToken",
    "Conv",
    "Detached",
    "Dropout",
    "Elu",
    "ExceptLast",
    "Flatten",
    "FourierFeatures",
    "Frozen",
    "Gelu",
    "GlobalAveragePool",
    "GroupNorm",
    "Identity",
    "LayerNorm",
    "LeakyRelu",
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
    "Prelu",
    "Rational",
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
    "SimNorm",
    "SineCosine",
    "Slice",
    "SoftMoe",
    "SpectralNorm",
    "SplitTokens",
    "Tanh",
    "Tokens",
    "Top1Moe",
    "UnitNorm",
    "Upsample",
    "WeightNorm",
    "Wired",
]
