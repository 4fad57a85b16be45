"""Making hidden units new: fresh weights in, none out. What recycling and replacing units have in common.

Legend: S seeds, C copies, U units of a layer. Tests: tests/interventions/test_recycle.py, test_replace_units.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from composer.interventions.base import Rewrite
from composer.networks.hidden_units import HiddenLayer, problems_of_choice
from composer.networks.parameter_selectors import Place

if TYPE_CHECKING:
    from torch import Tensor

    from composer.interventions.base import Case, OperationContext


class Renewal(NamedTuple):
    """Which units of a layer become new."""

    role: str
    layer: HiddenLayer
    units: Tensor
    """``[S, C, U]``, a mask."""

    @property
    def weight(self) -> Place:
        """What the units read by."""
        return self.role, f"{self.layer.path}.weight"

    def readers(self) -> Iterator[tuple[Place, Tensor]]:
        """The weights that read the units, ``[S, C, out, in, ...]``, each with a mask of its inputs, ``[S, C, in]``."""
        for reader in self.layer.readers:
            yield (self.role, f"{reader.path}.weight"), self.units.repeat_interleave(reader.entries, -1)


def renewed(context: OperationContext, renewals: Sequence[Renewal], forgets_biases: bool) -> Iterator[Rewrite]:
    """Weights in are drawn afresh, biases are 0, gains and shifts of norms as declared; weights out are 0.

    A weight from one new unit to another is one out. ``forgets_biases`` says whether the moments of biases, gains and
    shifts go where those of weights do.
    """
    import torch

    for each in renewals:
        weight = context.value(each.weight)
        yield Rewrite(each.weight, context.fresh(each.weight), along(each.units, weight, 2))
        if each.layer.bias:
            bias = each.role, f"{each.layer.path}.bias"
            yield Rewrite(bias, torch.zeros_like(context.value(bias)), each.units, forgets_biases)
        for path, entries in each.layer.gains:
            gain = each.role, path
            yield Rewrite(gain, context.fresh(gain), each.units.repeat_interleave(entries, -1), forgets_biases)
    for each in renewals:
        for place, inputs in each.readers():
            value = context.value(place)
            yield Rewrite(place, torch.zeros_like(value), along(inputs, value, 3))


def along(values: Tensor, like: Tensor, axis: int) -> Tensor:
    """``[S, C, n]`` shaped to broadcast along one axis of a parameter ``[S, C, ...]``."""
    return values.view(*values.shape[:2], *(values.shape[2] if at == axis else 1 for at in range(2, like.ndim)))


def problems(case: Case, verb: str) -> Iterator[tuple[str, str]]:
    """What is wrong with making units of the chosen parameters new; ``verb`` says how: ``recycled``."""
    yield from (("", message) for message in problems_of_choice(case.outlines, case.places, verb))
    for name, each in case.interventions.items():
        shared = {role for role, _ in case.chosen[name]} & set(case.roles)
        if each.do.growth and shared:
            yield "", f"{name!r} adds terms to {min(shared)!r}; units of such a network cannot be {verb}"
