"""Weight clipping. Tests: tests/papers/test_weight_remedies.py."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.interventions.base import Operation, Rewrite
from composer.networks.parameter_selectors import ParameterName

if TYPE_CHECKING:
    from composer.interventions.base import OperationContext


class Clip(Operation, kind="clip"):
    """Clip every entry: ``w <- min(max(w, -b), b)`` with ``b = factor / sqrt(out + in)``, or ``factor`` of a vector.

    ``out`` and ``in`` are the first two axes of a weight; vectors are biases and gains. It is meant for each update.
    Source: Elsayed et al., arXiv:2407.01704, with the bound of the released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "clip", "factor": 2.0}
    is_projection: ClassVar[bool] = True

    factor: Annotated[float, Field(gt=0, le=1_000)] = 2.0
    """Bound of an entry, in units of its first draw."""

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        for parameter in chosen:
            value, shape = context.value(parameter).detach(), context.plan(parameter).shape
            bound = self.factor / (math.sqrt(sum(shape[:2])) if len(shape) > 1 else 1)
            yield Rewrite(parameter, value.clamp(-bound, bound), value.abs() > bound)
