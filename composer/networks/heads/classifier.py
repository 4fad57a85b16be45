"""The head of a classifier, for supervised phases and probes. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.heads.dense import OneLayerHead
from composer.spec.shape import Shape


class Classifier(OneLayerHead, kind="classifier"):
    """Logits of each class's probability: ``[n] -> [classes]``; their loss is the cross-entropy of a softmax."""

    is_additive: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "classifier", "classes": 10}

    classes: Annotated[int, Field(ge=2, le=65_536)]
    """Number of classes; the action size plays no part."""

    @property
    @override
    def produces(self) -> str:
        return "class_logits"

    @override
    def outputs(self, actions: int) -> Shape:
        return (self.classes,)
