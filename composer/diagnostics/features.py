"""Measures of features: the outputs of a network's trunk, flattened to vectors, after injections too.

Values are means over a network's copies. Formulas: composer/diagnostics/formulas/ranks.py, features.py.
Tests: tests/diagnostics/test_readings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.diagnostics.base import NetworkDiagnostic, Readings
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    from composer.diagnostics.interface import View


class Rank(NetworkDiagnostic, kind="rank"):
    """Five ranks of the feature matrix: srank, PCA rank, effective rank, Lyle's feature rank, stable rank.

    ``srank``: singular values that hold ``1 - delta`` of their sum (arXiv:2010.14498). ``pca_rank``: the same of their
    squares (arXiv:1909.12255). ``effective_rank``: exponential of their entropy (Roy and Vetterli, EUSIPCO 2007).
    ``feature_rank``: those above ``epsilon`` after division by the root of the batch size (arXiv:2204.09560).
    ``stable_rank``: squared Frobenius norm by squared largest (arXiv:math/0503442). Published plasticity code calls
    srank "stable rank". All depend on the batch size.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "rank", "delta": 0.01}
    reported = ("srank", "pca_rank", "effective_rank", "feature_rank", "stable_rank")
    meanings = (
        Metric("srank", "singular values of features that hold 1 - delta of their sum", "rank", 0),
        Metric("pca_rank", "singular values that hold 1 - delta of the sum of squares", "rank", 0),
        Metric("effective_rank", "exponential of the entropy of singular values", "rank", 0),
        Metric(
            "feature_rank", "singular values above epsilon, after division by the root of the batch size", "rank", 0
        ),
        Metric("stable_rank", "squared Frobenius norm by squared largest singular value", "rank", 0),
    )

    delta: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Share of the sum that srank and PCA rank may leave out."""
    epsilon: Annotated[float, Field(gt=0, le=1e6)] = 0.01
    """Threshold of Lyle's feature rank."""

    @override
    def measure(self, view: View, role: str) -> Readings:
        from composer.diagnostics.formulas import ranks

        features = view.features(role)
        values = ranks.singular_values(features)
        found = (
            ranks.srank(values, self.delta),
            ranks.pca_rank(values, self.delta),
            ranks.effective_rank(values),
            ranks.feature_rank(values, features.shape[-2], self.epsilon),
            ranks.stable_rank(values),
        )
        return {name: rank.mean(1) for name, rank in zip(self.reported, found, strict=True)}


class FeatureNorm(NetworkDiagnostic, kind="feature_norm"):
    """Mean Euclidean norm of the features of a sample."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "feature_norm"}
    reported = ("feature_norm",)
    meanings = (Metric("feature_norm", "mean Euclidean norm of the features of a sample", "norm", 0),)

    @override
    def measure(self, view: View, role: str) -> Readings:
        from composer.diagnostics.formulas.features import feature_norm

        return {"feature_norm": feature_norm(view.features(role)).mean(1)}


class FeatureDot(NetworkDiagnostic, kind="feature_dot"):
    """Mean dot product of the features of consecutive inputs, for a critic those of (s, a) and (s', a').

    The next action is drawn as the algorithm's bootstrap draws it, with noise that is the same at each reading. A dot
    product and no cosine: it grows with the norm. Source: Kumar et al., DR3, arXiv:2112.04716.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "feature_dot"}
    reported = ("feature_dot",)
    meanings = (Metric("feature_dot", "mean dot product of the features of consecutive inputs", "squared norm"),)

    @override
    def measure(self, view: View, role: str) -> Readings:
        from composer.diagnostics.formulas.features import feature_dot

        return {"feature_dot": feature_dot(view.features(role), view.features(role, following=True)).mean(1)}
