"""What a blueprint changes about any simulator: rewards, distractions in pictures, skills; and what it counts.

Tests: tests/environments/test_vision_language.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field
from typing_extensions import override

from composer.environments.coverage import COVERAGE, Coverage
from composer.environments.declared import Described
from composer.environments.distractions.base import Distraction
from composer.environments.interface import EnvironmentInfo
from composer.environments.rewards.base import LEARNED_RETURN, RewardModel
from composer.environments.skills import Skills
from composer.spec.family import Items, Spec
from composer.spec.metrics import Metric
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.environments.interface import VectorEnvironment
    from composer.environments.native import NativeSpaces
    from composer.environments.rewards.base import Judge


class Altered(Described, Spec):
    """Settings that all simulators share."""

    draws_decisions: ClassVar[bool] = False
    """Whether it can draw a picture after each decision, an episode's last one included."""

    takes_skills: ClassVar[bool] = True

    tells_background: ClassVar[bool] = False
    """Whether it tells which pixels of its pictures are background."""

    reward: Annotated[RewardModel | None, Without(None)] = None
    """What agents learn from in place of the environment's own rewards, computed from a picture of each decision.
    Evaluations report the own return, and beside it ``evaluation/learned_return``."""

    distractions: Annotated[Items[Distraction] | None, Field(max_length=16), Without(None)] = None
    """Changes of observed pictures that have nothing to do with the task, one after another: other backgrounds, other
    colours."""

    skills: Annotated[Skills | None, Without(None)] = None
    """A vector that is drawn for every episode and is part of each observation, such as a skill of METRA."""

    coverage: Annotated[Coverage | None, Without(None)] = None
    """What evaluations count as different places; they then write ``evaluation/coverage``."""

    @property
    def shows_pictures(self) -> bool:
        """Whether observations are pictures of three colours that distractions can change."""
        return False

    def in_stream(self, stream: str) -> Self:
        """This environment with the distractions of one stream, ``training`` or ``evaluation``."""
        if self.distractions is None:
            return self
        return self.model_copy(
            update={"distractions": tuple(each for each in self.distractions if each.stream in ("both", stream))}
        )

    @override
    def altered(self, info: EnvironmentInfo) -> EnvironmentInfo:
        """With the skill that follows its observations."""
        can_be = info.pictures or len(info.observation) == 1
        return self.skills.described(info) if self.skills is not None and can_be else info

    def skilled(self, within: VectorEnvironment, seeds: Sequence[int]) -> VectorEnvironment:
        """``within``, whose environments have these ``seeds``, with the skills of their episodes."""
        from composer.environments.vector.skilled import SkilledVector

        return within if self.skills is None else SkilledVector(within, self.skills, seeds)

    def seen_spaces(self, own: NativeSpaces, info: EnvironmentInfo) -> NativeSpaces:
        """The simulator's ``own`` spaces, with the skill as ``info`` has it."""
        return own if self.skills is None else self.skills.spaces(own, info)

    def without_skills(self) -> Self:
        """This environment as it is itself."""
        if self.skills is None:
            return self
        found = self.model_copy(update={"skills": None})
        found.__dict__.pop("info", None)  # A copy has the cached description too.
        return found

    def with_pictures(self, info: EnvironmentInfo) -> EnvironmentInfo:
        """``info`` of environments that also draw what the reward model reads."""
        return replace(info, picture_side=self.reward.picture_side) if self.reward else info

    def judge(self) -> Judge | None:
        """The reward model, loaded; None where rewards are the environment's own. Raises UnusableEnvironment."""
        return self.reward.build() if self.reward else None

    def further_evaluation_metrics(self) -> tuple[Metric, ...]:
        """The return of the rewards that agents learn from, where it is not their own, and the coverage."""
        return (*((LEARNED_RETURN,) if self.reward else ()), *((COVERAGE,) if self.coverage else ()))

    def refusal(self) -> tuple[str, str] | None:
        """A key and the reason why what it names cannot be used on this machine."""
        for key, each in [("reward", self.reward), *((f"distractions[{i}]", d) for i, d in self._numbered())]:
            if each is not None and (found := each.refusal()):
                return f"{key}.{found[0]}", found[1]
        return None

    def altered_problems(self, kind: str, own: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        """Problems of these settings with a simulator of ``kind``, itself described by ``own``: paths and messages."""
        yield from self._part_problems(kind, own)
        if self.reward and not self.draws_decisions:
            yield "environment.reward", f"{kind!r} draws no picture of each decision: no reward can be read off it"
        if self.distractions and not self.shows_pictures:
            message = f"{kind!r} observes no pictures of three colours here: there is nothing to distract from"
            yield "environment.distractions", message
        for index, distraction in self._numbered():
            if self.shows_pictures and distraction.needs_mask and not self.tells_background:
                message = f"{kind!r} does not tell which pixels are background: give 'screen_color'"
                yield f"environment.distractions[{index}]", message

    def _part_problems(self, kind: str, own: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        """Of skills, which become part of observations, and of coverage, which reads them."""
        for key in ("skills", "coverage"):
            if getattr(self, key) is None:
                continue
            if not own.pictures and len(own.observation) != 1:
                message = f"{kind!r} observes {list(own.observation)} here: it is for vectors and pictures"
                yield f"environment.{key}", message
            elif not self.takes_skills:
                yield f"environment.{key}", f"{kind!r} steps the simulators of other tables: leave it out"
        if self.skills is not None and own.pictures and 4 * self.skills.size > math.prod(own.observation[1:]):
            side = " x ".join(map(str, own.observation[1:]))
            message = f"{self.skills.size} numbers of 4 bytes do not fit into a plane of {side} bytes"
            yield "environment.skills.size", message
        if self.coverage is not None and (own.pictures or len(own.observation) == 1):
            yield from self._coverage_problems(kind, own, max(self.coverage.coordinates))

    @staticmethod
    def _coverage_problems(kind: str, own: EnvironmentInfo, largest: int) -> Iterator[tuple[str, str]]:
        size = own.place_size if own.pictures else own.observation[0]
        if own.pictures and not size:
            yield "environment.coverage", f"{kind!r} tells no place beside its pictures: leave it out"
        elif largest >= size:
            what = "a place" if own.pictures else "an observation"
            message = f"{what} has {size} numbers, from 0 to {size - 1}: there is no entry {largest}"
            yield "environment.coverage.coordinates", message

    def _numbered(self) -> Iterator[tuple[int, Distraction]]:
        return iter(enumerate(self.distractions or ()))
