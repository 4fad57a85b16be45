"""The head of a policy that its algorithm squashes. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from composer.networks.heads.dense import OneLayerHead
from composer.spec.shape import Shape


class LinearAction(OneLayerHead, kind="linear_action"):
    """An action before its tanh: ``[n] -> [a]``, ``W x + b``, for algorithms that penalise what enters the tanh.

    Source: MR.Q, arXiv:2501.16142.
    """

    is_additive: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "linear_action"}

    @property
    @override
    def produces(self) -> str:
        return "unsquashed_action"

    @override
    def outputs(self, actions: int) -> Shape:
        return (actions,)
