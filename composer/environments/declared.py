"""What follows from the declaration of an environment: what an agent learns from, and what a run meets when.

Tests: tests/training/test_run_dataset.py, tests/environments/test_phases.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

if TYPE_CHECKING:
    from composer.environments.interface import EnvironmentInfo

STEPPING: Final = ("copies", "workers", "timeout_seconds")
"""Keys of simulators that do not change the task."""


class Contents(NamedTuple):
    """What an agent learns from, for people: a simulator's task, or a data set."""

    name: str
    columns: Mapping[str, str]
    """What a sample has, with types: ``observation`` is ``float32 [24]``."""
    counts: Mapping[str, int]
    """How many steps an episode has, or samples a data set."""
    settings: Mapping[str, Any]
    """The keys that make it, of TOML types; not where its files are, nor how it is stepped."""


class PlannedStage(NamedTuple):
    """A part of a run that the environment plans."""

    start: int
    """Interactions before it."""
    key: str
    """The key of the blueprint that declares it."""
    words: str
    """A description for people."""


class SmallerBatches(NamedTuple):
    """A part of a run in which the last batch of an epoch is smaller than the others."""

    start: int
    """Interactions before the part."""
    every: int
    """Batches of an epoch."""
    size: int
    """Samples of its last batch."""


class Staged:
    """What an environment plans for a run, stage by stage. By default nothing."""

    @property
    def stages_differ_by_seed(self) -> bool:
        """Whether each seed may enter the next planned stage at a time of its own."""
        return False

    @property
    def stages_per_cycle(self) -> int:
        """Planned stages after which tasks come again; 1 where each is a task of its own."""
        return 1

    @property
    def clears_replay(self) -> bool:
        """Whether a planned stage begins with an empty replay."""
        return False

    def stages(self, batch_size: int) -> tuple[PlannedStage, ...]:
        """Planned parts of a run, in order, the first one at 0; empty where nothing is planned."""
        return ()

    def switches_by(self, interactions: int, batch_size: int) -> int:
        """Number of changes from one planned stage to the next within ``interactions``."""
        return sum(0 < stage.start < interactions for stage in self.stages(batch_size))

    def continues(self, other: Staged, interactions: int) -> bool:
        """Whether a run of ``other`` goes on here, after so many interactions, though the declarations differ."""
        return False


class FromData:
    """What an environment says of a data set of transitions that a run has from its beginning. By default none."""

    @property
    def learns_from_data(self) -> bool:
        """Whether transitions of a data set are there before the first interaction: nothing is then warmed up."""
        return False

    @property
    def draws_uniformly(self) -> bool:
        """Whether updates draw from data and own transitions as from one replay."""
        return False

    def own_interactions(self, interactions: int) -> int:
        """Of the first ``interactions`` of a run, those in which the agent acts."""
        return interactions

    def data_size(self) -> int | None:
        """Transitions of the data set, without reading them; 0 where there is none, None where that is not known."""
        return 0

    def data_digests(self) -> Mapping[str, str]:
        """A hash of the files that a run learns from, for its provenance, by name. Raises DataUnusable."""
        return {}


class Described:
    """What is added to the description of an environment. By default nothing."""

    takes_skills: ClassVar[bool] = False
    """Whether its episodes may have a skill, and its places be counted."""

    def altered(self, info: EnvironmentInfo) -> EnvironmentInfo:
        """The description of the environment as agents see it; ``info`` is that of the environment itself."""
        return info
