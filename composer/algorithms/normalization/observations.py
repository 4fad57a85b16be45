"""How observations are normalised before any network sees them: running statistics, a minibatch's, or none.

Tests: tests/papers/test_observation_norms.py, tests/papers/test_rs_norm.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.spec.family import Family, Items

if TYPE_CHECKING:
    from composer.algorithms.normalization.batch_moments import BatchMoments
    from composer.algorithms.normalization.moments import RunningMoments
    from composer.algorithms.normalization.normalizer import Moments, Normalizer
    from composer.algorithms.normalization.one_observation import Stateless

Epsilon = Annotated[float, Field(gt=0, le=1)]
Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Deviation = Annotated[float, Field(gt=0, le=1e12)]
Momentum = Annotated[float, Field(ge=0, lt=1)]


class ObservationNorm(Family, family="observation_norm"):
    """A map of observations, and never of actions, that every network and its averages share; no parameters.

    Replay keeps raw observations, and gain and shift are left to the first layer of each network.
    """

    is_identity: ClassVar[bool] = False
    """Whether observations stay as they are."""
    needs_data: ClassVar[bool] = False
    """Whether it is by a data set, and so of no use without one."""

    @override
    def without(self) -> ObservationNorm | None:
        """Observations as they are."""
        return None if self.is_identity else Raw()

    def problems(self, algorithm: str, raw_rows: int) -> Iterator[str]:
        """Reasons why it cannot normalise the updates of ``algorithm``, which see ``raw_rows`` raw observations each.

        0 where the algorithm learns from observations as its policy saw them.
        """
        yield from ()

    def size_problems(self, size: int) -> Iterator[str]:
        """Reasons why it cannot normalise observations of so many numbers."""
        yield from ()

    @abstractmethod
    def build(self, seeds: int, size: int, device: str) -> Normalizer | None:
        """A fresh map of vectors of ``size`` for each seed; None where nothing is normalised."""


class Raw(ObservationNorm, kind="raw"):
    """No normalisation: networks see observations as they are."""

    is_identity: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "raw"}

    @override
    def build(self, seeds: int, size: int, device: str) -> None:
        return None


class RSNorm(ObservationNorm, kind="rs_norm"):
    """Running-statistics normalisation of observations, ``(o - mean) / sqrt(variance + epsilon)``.

    Float64 parallel moments with population variance, started at mean 0, variance 1, weight 1e-4; no clipping. Replay
    keeps raw observations; evaluation reads the statistics frozen. Source: SimBa, arXiv:2410.09754, and its code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "rs_norm", "epsilon": 1e-8}

    epsilon: Epsilon = 1e-8
    """Added to the variance, inside the root."""

    @override
    def build(self, seeds: int, size: int, device: str) -> RunningMoments:
        from composer.algorithms.normalization.moments import RunningMoments

        return RunningMoments(seeds, size, self.epsilon, device)


class DataMoments(ObservationNorm, kind="data_moments"):
    """Normalisation by the moments of the data set that is learned from, ``(o - mean) / (deviation + epsilon)``.

    Computed once, in float64 with population variance, before the first update; what the agent meets later does not
    move them. For ``environment.kind = "offline"``. Source: TD3+BC, arXiv:2106.06860, and its code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "data_moments", "epsilon": 1e-3}

    needs_data: ClassVar[bool] = True

    epsilon: Epsilon = 1e-3
    """Added to the deviation."""

    @override
    def build(self, seeds: int, size: int, device: str) -> Moments:
        from composer.algorithms.normalization.moments import DataMoments

        return DataMoments(seeds, size, self.epsilon, device)


class Fixed(ObservationNorm, kind="fixed"):
    """Normalisation by given numbers, ``(o - mean) / deviation``, one pair for each entry; nothing moves them.

    Source: the presets of METRA's released code, arXiv:2310.08887.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "fixed", "mean": [0.0], "deviation": [1.0]}

    mean: Annotated[Items[Number], Field(min_length=1, max_length=100_000)]
    """What is subtracted from each entry of an observation, without its skill."""
    deviation: Annotated[Items[Deviation], Field(min_length=1, max_length=100_000)]
    """What each entry is divided by then."""

    @override
    def size_problems(self, size: int) -> Iterator[str]:
        for name, given in (("mean", self.mean), ("deviation", self.deviation)):
            if len(given) != size:
                yield f"an observation has {size:,} numbers, and {name!r} has {len(given):,}"

    @override
    def build(self, seeds: int, size: int, device: str) -> Moments:
        import torch

        from composer.algorithms.normalization.normalizer import Moments

        found = Moments(seeds, size, 0.0, device)
        found.mean.copy_(torch.tensor(self.mean, dtype=torch.float64))
        found.variance.copy_(torch.tensor(self.deviation, dtype=torch.float64).square())
        return found


class LayerNorm(ObservationNorm, kind="layer_norm"):
    """Zero mean and unit population variance over the entries of each observation, without gain and shift.

    Keeps no state. Entries of different units are mixed: what one of them adds to the variance, all others lose.
    Source: Ba et al., arXiv:1607.06450.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "layer_norm"}

    epsilon: Epsilon = 1e-6
    """Added to the variance, inside the root."""

    @override
    def build(self, seeds: int, size: int, device: str) -> Stateless:
        from composer.algorithms.normalization.one_observation import Stateless, layer_norm

        return Stateless(size, partial(layer_norm, epsilon=self.epsilon))


class OfMinibatches(ObservationNorm, abstract=True):
    """An update normalises by the statistics of its minibatch, which has to be raw."""

    @override
    def problems(self, algorithm: str, raw_rows: int) -> Iterator[str]:
        if raw_rows == 0:
            why = f"{algorithm} learns from observations as its policy saw them, {self.kind!r} from raw ones"
            yield f"{why}: write rs_norm"
        if raw_rows == 1:
            yield f"one sample has no variance, and {self.kind!r} makes it 0: a batch of 2 or more, or rs_norm"


class BatchNorm(OfMinibatches, kind="batch_norm"):
    """Zero mean and unit population variance of each entry over the minibatch of an update, without gain and shift.

    The moments are those of current and next observations together, since both pass through the same networks. Acting,
    evaluations and diagnostics see by moments that follow them once per update, from mean 0 and variance 1; every draw
    counts, so that a transition that is drawn twice counts twice. Source: Ioffe and Szegedy, arXiv:1502.03167; one pass
    over both halves as in CrossQ, arXiv:1902.05605.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "batch_norm"}

    epsilon: Epsilon = 1e-5
    """Added to the variance, inside the root."""
    momentum: Momentum = 0.9
    """Share of the followed moments that an update keeps; torch's ``momentum`` is one minus it."""

    @override
    def build(self, seeds: int, size: int, device: str) -> BatchMoments:
        from composer.algorithms.normalization.batch_moments import BatchMoments

        return BatchMoments(seeds, size, self.epsilon, self.momentum, device)


class BatchRenorm(OfMinibatches, kind="batch_renorm"):
    """Batch norm of observations, corrected towards what acting sees: as ``batch_norm``, times ``r``, plus ``d``.

    With ``r = s / s'`` and ``d = (m - m') / s'`` for mean m and deviation s of the minibatch and the followed m', s',
    an update sees what acting sees; ``r`` stays in [1 / r_max, r_max] and ``d`` in [-d_max, d_max]. For the first
    ``warm_up`` updates there is no correction. Source: Ioffe, arXiv:1702.03275; defaults of the block
    ``batch_renorm``, CrossQ's.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "batch_renorm", "warm_up": 0}

    epsilon: Epsilon = 1e-3
    """Added to the variance, inside the root."""
    momentum: Momentum = 0.99
    """Share of the followed moments that an update keeps."""
    r_max: Annotated[float, Field(ge=1, le=1e6)] = 3.0
    """Bound on the factor and its inverse."""
    d_max: Annotated[float, Field(ge=0, le=1e6)] = 5.0
    """Bound on the shift, in followed deviations."""
    warm_up: Annotated[int, Field(ge=0, le=1_000_000_000)] = 100_000
    """Updates without correction."""

    @override
    def build(self, seeds: int, size: int, device: str) -> BatchMoments:
        from composer.algorithms.normalization.batch_moments import RenormMoments

        bounds = self.r_max, self.d_max, self.warm_up
        return RenormMoments(seeds, size, self.epsilon, self.momentum, device, *bounds)


class Symlog(ObservationNorm, kind="symlog"):
    """``sign(o) ln(1 + |o|)``: large entries are compressed, entries near 0 stay as they are. Keeps no state.

    Source: DreamerV3, arXiv:2301.04104, whose encoder sees vectors so.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "symlog"}

    @override
    def build(self, seeds: int, size: int, device: str) -> Stateless:
        from composer.algorithms.normalization.one_observation import Stateless
        from composer.algorithms.symlog import symlog

        return Stateless(size, symlog)
