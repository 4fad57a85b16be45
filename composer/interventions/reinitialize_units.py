"""Making hidden units new: fresh weights in, none out. Recycling and replacing units share it.

Legend: S seeds, C copies, U units of a layer. Tests: tests/interventions/test_recycle.py, test_replace_units.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from composer.interventions.base import Rewrite
from composer.networks.hidden_units import HiddenLayer, Reader, problems_of_choice
from composer.networks.parameter_selectors import ParameterName

if TYPE_CHECKING:
    from torch import Tensor

    from composer.interventions.base import Case, OperationContext


class Renewal(NamedTuple):
    """Which units of a layer become new."""

    role: str
    layer: HiddenLayer
    units: Tensor
    """``[S, C, U]``, a mask."""

    def inputs(self, reader: Reader) -> Tensor:
        """The mask of the inputs of a layer that reads the units, ``[S, C, in]``."""
        return self.units.repeat_interleave(reader.entries, -1)


def renewed(context: OperationContext, renewals: Sequence[Renewal], forgets_biases: bool) -> Iterator[Rewrite]:
    """Weights in and gains of norms are drawn afresh, biases are 0; weights out are 0.

    All weights of a noisy layer are treated alike: scales of noise begin anew on the way in and are 0 on the way out. A
    weight from one new unit to another is one out. Weights that each output reads with unit norm keep it: rows that
    lose an input are scaled back to the sphere, and drawn afresh where nothing is left. ``forgets_biases`` says whether
    the moments of biases, gains and shifts go where those of weights do.
    """
    import torch

    values: dict[ParameterName, Tensor] = {}

    def rewrite(role: str, path: str, value: Tensor, entries: Tensor, forgets: bool = True) -> Rewrite:
        parameter = role, path
        old = values.get(parameter, context.value(parameter).detach())
        values[parameter] = torch.where(entries, value, old)
        return Rewrite(parameter, value, entries, forgets)

    for role, layer, units in renewals:
        for path in layer.weights:
            fresh = context.fresh((role, path))
            yield rewrite(role, path, fresh, along(units, fresh, 2))
        for path in layer.vectors:
            fresh = context.fresh((role, path))
            yield rewrite(role, path, torch.zeros_like(fresh) if path == layer.bias else fresh, units, forgets_biases)
        for path, entries in layer.gains:
            mask = units.repeat_interleave(entries, -1)
            yield rewrite(role, path, context.fresh((role, path)), mask, forgets_biases)
    for each in renewals:
        for reader in each.layer.readers:
            for path in reader.weights:
                value = torch.zeros_like(context.value((each.role, path)))
                yield rewrite(each.role, path, value, along(each.inputs(reader), value, 3))
    yield from _on_sphere(context, values)


def _on_sphere(context: OperationContext, values: dict[ParameterName, Tensor]) -> Iterator[Rewrite]:
    """Rows of unit norm for weights that are kept so, where they have changed."""
    from composer.networks.modules.projection import to_unit_norm

    for parameter, value in values.items():
        axis = context.plan(parameter).unit_axis
        if axis is not None:
            changed = (value != context.value(parameter)).any(3, keepdim=True)
            is_empty = (value == 0).all(3, keepdim=True)
            row = to_unit_norm(value.where(~is_empty, context.fresh(parameter)), 3)
            yield Rewrite(parameter, row, changed, forgets=False)


def along(values: Tensor, like: Tensor, axis: int) -> Tensor:
    """``[S, C, n]`` shaped to broadcast along one axis of a parameter ``[S, C, ...]``."""
    return values.view(*values.shape[:2], *(values.shape[2] if at == axis else 1 for at in range(2, like.ndim)))


def problems(case: Case, verb: str) -> Iterator[tuple[str, str]]:
    """Why units of the chosen parameters cannot be made new: keys and messages; ``verb`` is such as ``recycled``."""
    yield from (("", message) for message in problems_of_choice(case.outlines, case.parameters, verb))
    for name, each in case.interventions.items():
        shared = {role for role, _ in case.chosen[name]} & set(case.roles)
        if each.do.growth and shared:
            yield "", f"{name!r} adds terms to {min(shared)!r}; units of such a network cannot be {verb}"
