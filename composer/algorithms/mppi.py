"""Planning by sampled action sequences: the settings of MPPI. The search is in ``mppi_search.py``.

Tests: tests/papers/test_mppi.py.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from composer.spec.family import Spec

Count = Annotated[int, Field(ge=1, le=1_048_576)]
Std = Annotated[float, Field(gt=0, le=100)]


class MPPI(Spec):
    """Model predictive path integral control over action sequences of the model's horizon.

    Each iteration draws sequences from a Gaussian, joins those of the policy, and moves mean and standard deviation to
    the weighted elites. The mean begins as that of the last decision, shifted by one; the standard deviation at
    ``max_std``. The first action of an elite is taken, drawn by weight, with noise of the standard deviation while data
    are collected. Source: Hansen et al., TD-MPC2, arXiv:2310.16828, and its released code; Williams et al.,
    arXiv:1509.01149.
    """

    samples: Count = 512
    """Action sequences of an iteration, those of the policy included."""
    policy_samples: Annotated[int, Field(ge=0, le=1_048_576)] = 24
    """Sequences that the policy draws through the model, the same in all iterations."""
    elites: Count = 64
    """Best sequences, whose weighted moments are the next Gaussian."""
    iterations: Annotated[int, Field(ge=1, le=1_000)] = 6
    """Iterations; TD-MPC2's code makes two more where actions have 20 numbers or more."""
    temperature: Annotated[float, Field(gt=0, le=1e6)] = 0.5
    """Factor on values in the weights of elites, ``exp(temperature (v - max v))``: the inverse of a temperature."""
    min_std: Std = 0.05
    """Lower bound of the standard deviation."""
    max_std: Std = 2.0
    """Upper bound of the standard deviation, and its first value; actions lie in [-1, 1]."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = {"samples": self.samples, "policy": self.policy_samples, "elites": self.elites}
        if max(self.policy_samples, self.elites) > self.samples:
            message = "{samples} samples are fewer than {policy} of the policy or {elites} elites"
            raise PydanticCustomError("mppi_samples", message, found)
        if self.min_std > self.max_std:
            bounds = {"low": self.min_std, "high": self.max_std}
            raise PydanticCustomError("mppi_std", "'min_std' ({low}) must not be above 'max_std' ({high})", bounds)
        return self
