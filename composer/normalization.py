"""Running statistics that normalise what an agent sees. State lives in ``composer.nn.running_moments``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from composer.spec import Family, Spec

if TYPE_CHECKING:
    from composer.nn.running_moments import Brightness, RunningMoments


class RunningStatistic(Family, family="running_statistic"):
    """A statistic updated by environment steps only, shared by every network and by its averages."""

    @abstractmethod
    def build(self, seeds: int, size: int, device: str) -> RunningMoments | Brightness | None:
        """Fresh statistics for vectors of ``size``, one set a seed; None where nothing is normalised."""


class Raw(RunningStatistic, kind="raw"):
    """No normalisation: networks see observations as they are."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "raw"}

    def build(self, seeds: int, size: int, device: str) -> None:
        """None."""
        return None


class Pixels(RunningStatistic, kind="pixels"):
    """Brightness of pictures in 0 to 1: each byte divided by 255. Nothing is counted."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "pixels"}

    def build(self, seeds: int, size: int, device: str) -> Brightness:
        """It has no state."""
        from composer.nn.running_moments import Brightness

        return Brightness()


class RSNorm(RunningStatistic, kind="rs_norm"):
    """Running-statistics normalisation of observations, ``(o - mean) / sqrt(variance + epsilon)``.

    Float64 parallel moments with population variance, started at mean 0, variance 1, weight 1e-4; no clipping. Replay
    keeps raw observations; evaluation reads the statistics frozen. Source: SimBa, arXiv:2410.09754, and its code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "rs_norm", "epsilon": 1e-8}

    epsilon: float = Field(default=1e-8, gt=0, le=1)
    """Added to the variance, inside the root."""

    def build(self, seeds: int, size: int, device: str) -> RunningMoments:
        """Statistics at their starting values."""
        from composer.nn.running_moments import RunningMoments

        return RunningMoments(seeds, size, self.epsilon, device)


class Normalization(Spec):
    """Which quantities are normalised by running statistics."""

    observation: RunningStatistic = Raw()
    """Of the observation."""
