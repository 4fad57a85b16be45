"""DreamerV3's encoder and decoder of pictures once more in float64: sums over windows, no convolution of torch's.

Weights are those of ``tiny_dreamer.toml`` in the variant ``pictures``, by path; a picture is ``[c, h, w]``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad, silu

Weights = dict[str, Tensor]


def convolved(w: Weights, path: str, x: Tensor) -> Tensor:
    """Five by five, as large as before."""
    around, (height, width) = pad(x, (2, 2, 2, 2)), x.shape[1:]
    rows = []
    for down in range(height):
        windows = [around[:, down : down + 5, right : right + 5] for right in range(width)]
        rows.append(torch.stack([(w[f"{path}.weight"] * each).sum((1, 2, 3)) for each in windows], -1))
    return torch.stack(rows, 1) + w[f"{path}.bias"][:, None, None]


def normed(w: Weights, path: str, x: Tensor) -> Tensor:
    """Each place over its channels."""
    return silu(x / (x.square().mean(0, keepdim=True) + 1e-4).sqrt() * w[f"{path}.weight"][:, None, None])


def twice(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 1).repeat_interleave(2, 2)


def tokens(w: Weights, picture: Tensor) -> Tensor:
    path = "encoder.trunk.1"
    seen = convolved(w, f"{path}.0", picture / 255 - 0.5)
    return normed(w, f"{path}.2", seen.reshape(4, 2, 2, 2, 2).amax((2, 4))).flatten()


def reconstruction(w: Weights, latent: Tensor, picture: Tensor) -> Tensor:
    """Squared errors of the decoded pixels between 0 and 1, summed."""
    path, recurrent, drawn = "decoder.trunk", latent[:8], latent[8:]
    blocks = torch.block_diag(*w[f"{path}.0.0.1.weight"].chunk(2)) @ recurrent + w[f"{path}.0.0.1.bias"]
    inner = w[f"{path}.0.1.1.0.0.weight"] @ drawn + w[f"{path}.0.1.1.0.0.bias"]
    inner = silu(inner / (inner.square().mean() + 1e-4).sqrt() * w[f"{path}.0.1.1.0.1.weight"])
    x = blocks + w[f"{path}.0.1.2.weight"] @ inner + w[f"{path}.0.1.2.bias"]
    x = normed(w, f"{path}.2", x[:, None, None])
    x = normed(w, f"{path}.4.2", convolved(w, f"{path}.4.1", twice(x)))
    pixels = torch.sigmoid(convolved(w, f"{path}.6", twice(x)))
    return (pixels - picture / 255).square().sum()
