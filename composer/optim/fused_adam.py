"""Adam's step in one pass over memory, by torch's fused kernel: for eager updates on a CPU.

It computes what ``AdamState`` does, with other rounding. Tests: tests/papers/test_adam.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from composer.networks.stacked import FEW


class Numbers(NamedTuple):
    """What a step takes beside its tensors, ``[seeds]`` each."""

    rate: Tensor
    beta1: Tensor
    beta2: Tensor
    epsilon: Tensor
    decay: Tensor


def can_fuse(parameters: Sequence[Tensor], firsts: Sequence[Tensor], seconds: Sequence[Tensor]) -> bool:
    """Whether the kernel can take this step. Compiled programs fuse the plain operations themselves."""
    one = parameters[0]
    is_eager = one.device.type == "cpu" and not torch.compiler.is_compiling()
    # More seeds are stepped together: networks are mapped over them, which rounds differently already.
    if not is_eager or one.dtype != torch.float32 or one.shape[0] > FEW:
        return False
    # The kernel walks through memory as it is. Moments that are made for a parameter have its layout.
    groups = zip(parameters, firsts, seconds, strict=True)
    return all(value.stride() == first.stride() == second.stride() for value, first, second in groups)


def fused_step(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    firsts: Sequence[Tensor],
    seconds: Sequence[Tensor],
    decays: Sequence[bool],
    steps: Tensor,
    numbers: Numbers,
) -> None:
    """Move parameters and both moments ``[seeds, ...]`` in place; ``decays`` says which parameters decay.

    ``steps [seeds, parameters]`` are counted already. A seed is stepped by itself, so that its numbers do not depend
    on its neighbours.
    """
    gradients = [_laid_out_as(parameter, each) for parameter, each in zip(parameters, gradients, strict=True)]
    for seed, values in enumerate(zip(*(each.tolist() for each in numbers), strict=True)):
        rate, beta1, beta2, epsilon, decay = values
        counts = steps[seed].float().unbind()
        for weight_decay, chosen in ((decay, True), (0.0, False)):
            where = [index for index, decayed in enumerate(decays) if decayed == chosen]
            if not where:
                continue
            moved, along, first, second = (
                [_of_seed(each[index], seed) for index in where] for each in (parameters, gradients, firsts, seconds)
            )
            torch._fused_adamw_(
                moved,
                along,
                first,
                second,
                [],
                [counts[index] for index in where],
                lr=rate,
                beta1=beta1,
                beta2=beta2,
                weight_decay=weight_decay,
                eps=epsilon,
                amsgrad=False,
                maximize=False,
            )


def _of_seed(value: Tensor, seed: int) -> Tensor:
    return value if value.shape[0] == 1 else value[seed]


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with the parameter's layout in memory."""
    sides = zip(parameter.shape, parameter.stride(), gradient.stride(), strict=True)
    if all(size == 1 or wanted == found for size, wanted, found in sides):
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
