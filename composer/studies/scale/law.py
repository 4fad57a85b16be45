"""Power laws over sizes: ``y = a x^b``, and with an offset ``y = c + a x^b``; which of them the seeds support.

The fit is in log space where every value is positive, so that the curve is the median over seeds and a factor is a
factor at every size; elsewhere on the values themselves. Intervals are the one of ``composer.spec.interval``: a seed's
contribution is its influence on the maximum of the likelihood, and sizes are strata.
Legend: N seeds, k sizes, p parameters. Tests: tests/studies/scale/test_law.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from composer.spec.interval import interval
from composer.studies import Refused
from composer.studies.scale.likelihood import Curve, Maximum, maximise
from composer.studies.statistics import Estimate, Floats

FEWEST_SIZES: Final = 3
GAIN: Final = 6.0
"""The offset is kept where it lowers Akaike's criterion for small samples (AICc) by more than this."""
CRITERION: Final = f"an offset where it lowers AICc by more than {GAIN:g}, and at least four sizes"
EXPONENTS: Final = (-2.0, -1.0, -0.5, -0.2, 0.2, 0.5, 1.0, 2.0)
"""Exponents from which the fit with an offset is begun."""


@dataclass(frozen=True)
class Sample:
    """One value per seed, at several sizes."""

    sizes: Floats
    """``[N]``, positive: the size that each seed was trained at."""
    values: Floats
    """``[N]``"""
    side: NDArray[np.int8]
    """``[N]``: 0 for a value, 1 where the true value is larger (never reached), -1 where it is smaller."""

    @property
    def distinct(self) -> Floats:
        """The sizes, in order."""
        return np.unique(self.sizes)

    @property
    def is_log(self) -> bool:
        """Whether the law is fitted in log space: every value is positive."""
        return bool((self.values > 0).all())

    def at(self, chosen: NDArray[np.bool_]) -> Sample:
        """The seeds that the mask ``[N]`` chooses."""
        return Sample(self.sizes[chosen], self.values[chosen], self.side[chosen])


@dataclass(frozen=True)
class Fit:
    """A fitted law ``y = c + a (x / unit)^b``, with ``unit`` the geometric mean of the sizes."""

    sample: Sample
    maximum: Maximum
    """Its parameters are ``a, b``, or ``a, b, c``; in log space the first of two is ``log a``."""

    @cached_property
    def unit(self) -> float:
        """The geometric mean of the sizes."""
        return float(np.exp(np.log(self.sample.distinct).mean()))

    @property
    def has_offset(self) -> bool:
        """Whether c is fitted too."""
        return len(self.maximum.parameters) == 3

    @property
    def offset(self) -> float:
        """c, 0 without an offset."""
        return float(self.maximum.parameters[2]) if self.has_offset else 0.0

    @property
    def coefficient(self) -> float:
        """a, for sizes as they are."""
        a, b = self.maximum.parameters[:2]
        return float((math.exp(a) if self.sample.is_log and not self.has_offset else a) * self.unit**-b)

    @property
    def free_parameters(self) -> int:
        """Parameters of the curve, and the standard deviation."""
        return len(self.maximum.parameters) + 1

    @property
    def aicc(self) -> float:
        """Akaike's criterion with the correction for small samples, Hurvich and Tsai (1989); lower is better."""
        k, n = self.free_parameters, len(self.sample.values)
        return 2 * k - 2 * self.maximum.log_likelihood + (2 * k * (k + 1) / (n - k - 1) if n > k + 1 else math.inf)

    @property
    def strata(self) -> list[Floats]:
        """Each size's seeds' contributions to the parameters, ``[n, p]``."""
        of = [self.sample.sizes == size for size in self.sample.distinct]
        return [chosen.sum() * self.maximum.influence[chosen] for chosen in of]

    def exponent(self) -> Estimate:
        """B and its interval."""
        low, high = interval(self.maximum.parameters[1], [each[:, 1] for each in self.strata])
        return Estimate(float(self.maximum.parameters[1]), float(low), float(high))

    def at(self, size: float, seeds: int = 0) -> Estimate:
        """The law at ``size``, with the interval of the law, or of what ``seeds`` new seeds would have there.

        It is the median over seeds where the fit is in log space, and the mean elsewhere; NaN where the law, beyond
        the sizes that it was fitted on, has no value.
        """
        mean, slopes = _curve(np.array([size / self.unit]), self.sample.is_log, self.has_offset)(
            self.maximum.parameters
        )
        strata, degrees = [each @ slopes[0] for each in self.strata], [len(each) - 1 for each in self.strata]
        if seeds:
            freedom = len(self.sample.values) - len(strata)
            # Three numbers whose mean has the variance of the mean of the new seeds, with the freedom of all of ours.
            strata.append(self.deviation * math.sqrt(3 / seeds) * np.array([-1.0, 0.0, 1.0]))
            degrees.append(max(freedom, 1))
        if not np.isfinite(mean[0]):
            return Estimate(math.nan, math.nan, math.nan)
        ends = (mean[0], *interval(mean[0], strata, degrees=degrees))
        with np.errstate(over="ignore"):
            return Estimate(*(float(np.exp(end) if self.sample.is_log else end) for end in ends))

    @property
    def deviation(self) -> float:
        """Standard deviation of a seed around the law, corrected for the parameters; of logarithms in log space."""
        n = len(self.sample.values)
        return self.maximum.sigma * math.sqrt(n / max(n - len(self.maximum.parameters), 1))

    def misfit(self) -> float | None:
        """p-value of an F test of the law against one free value per size; approximate where seeds are censored.

        None where there are no more sizes than parameters, or no seeds beside each other.
        """
        from scipy.stats import f

        sample = self.sample
        k, p, n = len(sample.distinct), len(self.maximum.parameters), len(sample.values)
        free = _free(sample)
        if k <= p or n <= k or free is None:
            return None
        ratio = math.expm1(max(0.0, 2 * (free.log_likelihood - self.maximum.log_likelihood) / n))
        return float(f.sf(ratio * (n - k) / (k - p), k - p, n - k))


def fit(sample: Sample) -> tuple[Fit, list[Fit]]:
    """The law that the criterion chooses, and all that were fitted. Raises Refused."""
    if len(sample.distinct) < FEWEST_SIZES:
        raise Refused(f"a law takes at least {FEWEST_SIZES} sizes, got {len(sample.distinct)}")
    if (sample.sizes <= 0).any():
        raise Refused(f"a power law takes positive sizes, got {sample.sizes.min():g}")
    if len(np.unique(sample.sizes[sample.side == 0])) < 2:
        raise Refused("a law takes values at two sizes or more: at the others no seed has reached the threshold")
    fits = [Fit(sample, found) for found in (_power(sample), _with_offset(sample)) if found is not None]
    if not fits:
        raise Refused("no power law can be fitted to these values")
    plain = fits[0]
    best = min(fits, key=lambda each: each.aicc + GAIN * (each is not plain))
    return best, fits


def exponent_difference(ours: Fit, theirs: Fit) -> Estimate:
    """The exponent of ``ours`` minus that of ``theirs``, with its interval; the seeds of both are independent."""
    value = float(ours.maximum.parameters[1] - theirs.maximum.parameters[1])
    strata = [each[:, 1] for each in ours.strata] + [-each[:, 1] for each in theirs.strata]
    low, high = interval(value, strata)
    return Estimate(value, float(low), float(high))


def _curve(u: Floats, is_log: bool, has_offset: bool) -> Curve:
    """The law's link-scale mean over relative sizes ``u``, with its Jacobian."""
    logs = np.log(u)

    def linear(parameters: Floats) -> tuple[Floats, Floats]:
        return parameters[0] + parameters[1] * logs, np.column_stack((np.ones_like(u), logs))

    def curved(parameters: Floats) -> tuple[Floats, Floats]:
        with np.errstate(all="ignore"):
            power = np.exp(parameters[1] * logs)
            slopes = np.column_stack((power, parameters[0] * power * logs, np.ones_like(u)))[:, : len(parameters)]
            value = parameters[0] * power + (parameters[2] if has_offset else 0.0)
            return (np.log(value), slopes / value[:, None]) if is_log else (value, slopes)

    return linear if is_log and not has_offset else curved


def _link(sample: Sample) -> Floats:
    return np.log(sample.values) if sample.is_log else sample.values


def _relative(sample: Sample) -> Floats:
    relative: Floats = sample.sizes / np.exp(np.log(sample.distinct).mean())
    return relative


def _power(sample: Sample) -> Maximum | None:
    u, z = _relative(sample), _link(sample)
    curve = _curve(u, sample.is_log, has_offset=False)
    if sample.is_log:
        slope, height = np.polyfit(np.log(u), z, 1)
        return maximise(curve, np.array([height, slope]), z, sample.side)
    starts = [np.array([float(u**b @ z / (u**b @ u**b)), b]) for b in EXPONENTS]
    return _best(curve, starts, z, sample.side)


def _with_offset(sample: Sample) -> Maximum | None:
    if len(sample.distinct) <= FEWEST_SIZES:
        return None
    u, z = _relative(sample), _link(sample)
    starts = []
    for b in EXPONENTS:
        (a, c), *_ = np.linalg.lstsq(np.column_stack((u**b, np.ones_like(u))), sample.values, rcond=None)
        starts.append(np.array([a, b, c]))
    return _best(_curve(u, sample.is_log, has_offset=True), starts, z, sample.side)


def _best(curve: Curve, starts: Sequence[Floats], z: Floats, side: NDArray[np.int8]) -> Maximum | None:
    """From the two starts that are nearest to the values."""
    with np.errstate(invalid="ignore"):
        away = [float(np.nan_to_num(((curve(start)[0] - z) ** 2).sum(), nan=np.inf)) for start in starts]
    nearest = [starts[index] for index in np.argsort(away)[:2] if math.isfinite(away[index])]
    found = [each for start in nearest if (each := maximise(curve, start, z, side)) is not None]
    return max(found, key=lambda each: each.log_likelihood, default=None)


def _free(sample: Sample) -> Maximum | None:
    """One mean for each size."""
    z = _link(sample)
    of = (sample.sizes[:, None] == sample.distinct).astype(np.float64)
    start = np.array([z[sample.sizes == size].mean() for size in sample.distinct])
    return maximise(lambda means: (of @ means, of), start, z, sample.side)
