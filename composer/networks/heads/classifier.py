"""The head of a classifier, for supervised phases and probes. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.heads.base import Head
from composer.networks.heads.layers import dense, dense_call, features
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Classifier(Head, kind="classifier"):
    """Logits of each class's probability: ``[n] -> [classes]``; their loss is the cross-entropy of a softmax."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "classifier", "classes": 10}
    is_chain = True

    classes: Annotated[int, Field(ge=2, le=65_536)]
    """Number of classes; the action size plays no part."""
    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [classes, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [classes]."""
    unit_norm: bool = False
    """Whether the weights of each class are kept at unit norm, as hyperspherical networks do."""

    @property
    def produces(self) -> str:
        """Logits of classes."""
        return "class_logits"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``linear``."""
        features(self.kind, shape)
        return Outline(self.kind, shape, (self.classes,), children={"linear": dense(self, shape, self.classes)})

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.DenseHead``: returns logits [B, classes]."""
        self.outline(shape, actions)
        return call("composer.networks.modules.heads:DenseHead", dense_call(shape, self.classes), (self.classes,))
