"""The terms that declared penalties add to losses. Tests: tests/optim/test_penalties.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

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
        self._terms: dict[str, list[_Term]] = {}
        plans = {role: dict(outline.named_parameters()) for role, outline in outlines.items()}
        for name, penalty in penalties.items():
            if penalty.of_features:
                for role in dict.fromkeys(role for role, _ in penalty.chosen(outlines)):
                    factor = hyperparameters.number(penalty.coefficient)
                    self._terms.setdefault(role, []).append(_Term(name, None, penalty, factor))
                continue
            for role, path in penalty.chosen(outlines):
                value = parameters[role][path]
                if not value.requires_grad:
                    continue
                factor = hyperparameters.number(penalty.coefficient)
                numbers = [hyperparameters.number(number, 1) for number in penalty.numbers()]
                anchor, shape = penalty.anchor(value), penalty.memory(plans[role][path])
                anchor = anchor if anchor is None else hyperparameters.keep(anchor)
                memory = None if shape is None else value.new_ones(*value.shape[:2], *shape)
                self._terms.setdefault(role, []).append(_Term(name, path, penalty, factor, numbers, anchor, memory))

    @property
    def of_features(self) -> frozenset[str]:
        """The roles whose features are penalised."""
        return frozenset(role for role, terms in self._terms.items() if any(term.path is None for term in terms))

    def add_to(
        self, role: str, parameters: Mapping[str, Tensor], loss: Tensor, features: Sequence[Tensor] = ()
    ) -> Tensor:
        """``loss [S]`` of a role plus its penalties on the parameters that are trained now, and on its ``features``.

        These are two, ``[S, C, B, F]``: of the present inputs and of the following ones.
        """
        for term in self._terms.get(role, ()):
            if term.path is None:
                now, following = features
                loss = loss + term.factor * term.penalty.term(now, following, None)
            elif term.path in parameters:
                penalty = term.penalty.term(parameters[term.path], term.anchor, term.memory, *term.numbers)
                loss = loss + term.factor * penalty
        return loss

    def tensors(self, *roles: str) -> dict[str, Tensor]:
        """What penalties keep from update to update, by ``NAME/ROLE.PATH``; of these roles, or of all."""
        return dict(self._memories(roles or tuple(self._terms)))

    def _memories(self, roles: tuple[str, ...]) -> Iterator[tuple[str, Tensor]]:
        for role in roles:
            for term in self._terms.get(role, ()):
                if term.memory is not None:
                    yield f"{term.name}/{role}.{term.path}", term.memory


class _Term(NamedTuple):
    """A penalty on one parameter, or on the features of a role."""

    name: str
    path: str | None
    """None for features."""
    penalty: Penalty
    factor: Tensor
    numbers: Sequence[Tensor] = ()
    anchor: Tensor | None = None
    memory: Tensor | None = None
