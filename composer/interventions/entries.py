"""Operations on the single weights of least use: new draws for them, or none.

Legend: S seeds, C copies. Tests: tests/papers/test_weight_remedies.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.interventions.base import Operation, Rewrite, problems_of_gradients
from composer.interventions.recycle import BatchSize
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import ParameterName
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from composer.interventions.base import Case, OperationContext


class RenewWeights(Operation, kind="renew_weights"):
    """Draw the least useful ``share`` of the entries of each parameter afresh, rounded up, for each copy.

    The utility of an entry is its magnitude, or ``|w g|`` with the gradient ``g`` of the loss of its network on a
    batch. Unlike units, single weights can be renewed in any layer, behind any activation. Write ``moments =
    "chosen"`` beside it. Source: Hernandez-Garcia et al., arXiv:2508.00212, selective weight reinitialisation.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "renew_weights", "share": 0.01}

    share: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Share of the entries of a parameter."""
    utility: Literal["magnitude", "gradient"] = "magnitude"
    """What makes an entry useful: ``|w|`` or ``|w g|``."""
    batch: BatchSize = 256
    """Samples of the run's data for the gradient, drawn from a random stream of its own at each firing."""

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        for parameter in chosen:
            value = context.value(parameter).detach()
            score = value if self.utility == "magnitude" else value * context.gradient(parameter, self.batch)
            rank = ranks(score.abs())
            yield Rewrite(parameter, context.fresh(parameter), rank < math.ceil(self.share * value[0, 0].numel()))

    @override
    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        if self.utility == "gradient":
            yield from problems_of_gradients(case)


class Prune(Operation, kind="prune"):
    """Gradual magnitude pruning: the smallest entries of each parameter become 0 and stay 0.

    At firing ``t`` of ``firings`` the share ``sparsity (1 - (1 - t / firings)^3)`` of the entries is 0, rounded down,
    from then on ``sparsity``. It is meant for each update (``when = { kind = "every", interval = 1, first = ... }``),
    since updates move what is 0. It remembers what is pruned, a number for each entry, and takes the smallest of
    the rest. Source: Zhu and Gupta, arXiv:1710.01878; in deep RL: Obando-Ceron et al., arXiv:2402.12479, from 20 % to
    80 % of training, 95 %.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "prune", "sparsity": 0.95, "firings": 1_000}

    sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Share of zeros in the end."""
    firings: Annotated[int, Field(ge=1, le=10**9)]
    """Firings until then."""

    @override
    def memory(self, outlines: Mapping[str, Outline], chosen: Sequence[ParameterName]) -> Mapping[ParameterName, Shape]:
        plans = {role: dict(outlines[role].named_parameters()) for role, _ in chosen}
        shapes: dict[ParameterName, Shape] = {}
        for role, path in chosen:
            shapes |= {(role, path): plans[role][path].shape, (role, f"{path}.firings"): ()}
        return shapes

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        for role, path in chosen:
            value = context.value((role, path)).detach()
            gone, firings = context.memory((role, path)), context.memory((role, f"{path}.firings"))
            firings.add_(1)
            left = 1 - (firings / self.firings).clamp_max(1)
            # The smallest number above a whole one that rounding may fall short of.
            wanted = (self.sparsity * (1 - left**3) * value[0, 0].numel() + 1e-9).floor()
            if bool((wanted > gone.flatten(2).sum(2)).any()):
                rank = ranks(value.abs().double() - 2 * gone * (1 + value.abs().amax()))
                gone.copy_((gone > 0) | (rank < wanted.view(*wanted.shape, *[1] * (value.ndim - 2))))
            zeros = gone > 0
            yield Rewrite((role, path), value.masked_fill(zeros, 0.0), zeros)


def ranks(score: Tensor) -> Tensor:
    """How many entries of the same copy ``[S, C, ...]`` are smaller, or equal and before it."""
    import torch

    order = score.flatten(2).argsort(stable=True, dim=-1)
    place = torch.arange(order.shape[-1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, place).view(score.shape)
