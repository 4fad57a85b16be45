"""Penalties on features, what enters the head of a network. Tests: tests/papers/test_feature_penalties.py.

Legend: S seeds, C copies, B batch, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.networks.outline import Outline
from composer.networks.parameter_selectors import ParameterName
from composer.optim.penalties.base import Penalty

if TYPE_CHECKING:
    from torch import Tensor


class FeaturePenalty(Penalty, abstract=True):
    """A term on the features of every network that ``where`` reaches, for which its trunk passes the batch once more.

    The pass is in evaluation mode, on the present inputs and on the following ones.
    """

    of_features: ClassVar[bool] = True

    @override
    def chosen(self, outlines: Mapping[str, Outline]) -> tuple[ParameterName, ...]:
        reached = dict.fromkeys(role for role, _ in self.where.select(outlines) if "trunk" in outlines[role].children)
        return tuple(
            (role, path)
            for role in reached
            for path, _ in outlines[role].named_parameters()
            if path.startswith("trunk.")
        )

    @override
    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        found = [(f"where.{key}", message) for key, message in self.where.problems(outlines)]
        yield from found
        if not found and not self.chosen(outlines):
            yield "where", f"{self.kind!r} is for networks with a trunk of trained layers, and none of these has one"


class FeatureNorm(FeaturePenalty, kind="feature_norm"):
    """``coefficient * mean |f|^2`` over the batch, for features ``f`` of the present inputs.

    A control for the penalties on products and ranks of features, which a shrinking of all features reduces too.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "feature_norm", "where": ["critic.*"], "coefficient": 1e-3}

    @override
    def term(self, value: Tensor, anchor: Tensor | None, memory: Tensor | None, *numbers: Tensor) -> Tensor:
        return value.square().sum(-1).mean(-1).sum(-1)


class Dr3(FeaturePenalty, kind="dr3"):
    """``coefficient * mean f . f'`` over the batch: features of consecutive inputs are kept from aligning.

    ``f`` are the features of observation and action, ``f'`` those of the next observation and the policy's action; the
    gradient passes through both. Source: Kumar et al., arXiv:2112.04716.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "dr3", "where": ["critic.*"], "coefficient": 1e-2}

    @override
    def term(self, value: Tensor, anchor: Tensor | None, memory: Tensor | None, *numbers: Tensor) -> Tensor:
        assert anchor is not None
        return (value * anchor).sum(-1).mean(-1).sum(-1)


class FeatureRank(FeaturePenalty, kind="feature_rank"):
    """``coefficient * (s_1^2 - s_n^2)`` with the largest and the smallest singular value of the batch of features.

    The matrix has a row for each sample, divided by the square root of their number. Equal singular values, a matrix
    of full rank, cost nothing. An update takes the eigenvalues of a matrix of the smaller side.
    Source: Kumar et al., arXiv:2010.14498, which sums over the batch.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "feature_rank", "where": ["critic.*"], "coefficient": 1e-3}

    @override
    def term(self, value: Tensor, anchor: Tensor | None, memory: Tensor | None, *numbers: Tensor) -> Tensor:
        import torch

        tall = value if value.shape[2] >= value.shape[3] else value.mT
        squares: Tensor = torch.linalg.eigvalsh(tall.mT @ tall / value.shape[2])
        return (squares[..., -1] - squares[..., 0]).sum(-1)
