"""The terms that declared penalties add to losses. Tests: tests/optim/test_penalties.py."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from composer.networks.outline import Outline
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.penalties import Penalty


class PenaltyTerms:
    """The penalties of a run on its parameters. Anchors are the first draws, which a resumed run draws again."""

    def __init__(
        self,
        penalties: Mapping[str, Penalty],
        outlines: Mapping[str, Outline],
        parameters: Mapping[str, Mapping[str, Tensor]],
        hyperparameters: Hyperparameters,
    ) -> None:
        """``parameters`` by role and path, ``[S, C, ...]``, as first drawn."""
        self._terms: dict[str, list[tuple[str, Tensor | None, Tensor]]] = {}
        for penalty in penalties.values():
            for role, path in penalty.where.select(outlines):
                value = parameters[role][path]
                if value.requires_grad:
                    factor = hyperparameters.number(penalty.coefficient)
                    anchor = penalty.anchor(value)
                    term = (path, anchor if anchor is None else hyperparameters.keep(anchor), factor)
                    self._terms.setdefault(role, []).append(term)

    def add_to(self, role: str, parameters: Mapping[str, Tensor], loss: Tensor) -> Tensor:
        """``loss [S]`` of a role plus its penalties on the parameters that are trained now."""
        for path, anchor, factor in self._terms.get(role, ()):
            if path in parameters:
                value = parameters[path] if anchor is None else parameters[path] - anchor
                loss = loss + factor * value.square().flatten(1).sum(1)
        return loss
