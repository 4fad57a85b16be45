"""Temporal-difference learning of the mean, the baseline. Tests: tests/studies/tabular/test_quantile.py."""

from __future__ import annotations

import numpy as np

from composer.studies.tabular.chains import Indices
from composer.studies.tabular.noises import Floats


def update(values: Floats, rewards: Floats, successors: Indices, discount: float, rate: Floats | float) -> Floats:
    """TD of every state of every run after one transition: ``V(x) += rate (R + discount V(Y) - V(x))``.

    Args:
        values: ``[..., S, n]``.
        rewards: ``[S, n]``.
        successors: ``[S, n]``.
        discount: The chain's.
        rate: A number, or an array that broadcasts to ``values``.
    """
    after = np.take_along_axis(values, successors[(None,) * (values.ndim - 2)], axis=-1)
    learned: Floats = values + rate * (rewards + discount * after - values)
    return learned
