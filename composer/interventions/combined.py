"""Triggers combined: ``all``, ``any``, ``not`` over conditions on metrics and planned moments.

Each part is true, false or unknown (Kleene's three values). A condition on a metric is what its last reading made it,
and unknown before it has been read often enough since the last firing. A planned trigger is true at its moments and
false between them. Tests: tests/interventions/test_combined.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.interventions.clocks import ClockName, Lengths, Since
from composer.interventions.triggers import Leaf, Limited, Trigger
from composer.spec.family import Items

MAX_LEAVES = 12
"""Most triggers that one combination holds, at all depths."""
MOST_CERTAIN = 10_000
"""Moments of each leaf of which is found whether it fires there."""
_OUTERMOST = {"cooldown": 0, "maximum": 1, "clock": "update"}
"""Keys that only the outermost trigger has, with their defaults."""


class Combined(Limited, abstract=True):
    """A trigger made of others. Limits and their clock are those of the outermost."""

    @property
    def parts(self) -> Mapping[str, Trigger]:
        """What it combines, by key, in order."""
        return {}

    @override
    def leaves(self) -> Sequence[Leaf]:
        return [
            leaf._replace(key=f"{key}.{leaf.key}" if leaf.key else key)
            for key, part in self.parts.items()
            for leaf in part.leaves()
        ]

    @property
    @override
    def counted_since(self) -> Since:
        return "phase" if any(part.counted_since == "phase" for part in self.parts.values()) else "start"

    @override
    def is_per_seed(self, lengths: Lengths) -> bool:
        return any(leaf.trigger.is_per_seed(lengths) for leaf in self.leaves())

    @override
    def moments(self, lengths: Lengths) -> Sequence[int]:
        return ()

    @override
    def certain(self, lengths: Lengths) -> Sequence[tuple[ClockName, Sequence[int]]]:
        """Moments of planned leaves at which it holds; of another clock's leaves it is unknown whether they do.

        A limit that a metric, or another clock, may have used up leaves none.
        """
        leaves = [leaf.trigger for leaf in self.leaves()]
        clocks = list(dict.fromkeys(leaf.clock for leaf in leaves if not leaf.is_per_seed(lengths)))
        if (self.maximum or self.cooldown) and (len(clocks) > 1 or any(leaf.is_per_seed(lengths) for leaf in leaves)):
            return ()
        return [(clock, self._certain(clock, leaves, lengths)) for clock in clocks]

    def _certain(self, clock: ClockName, leaves: Sequence[Trigger], lengths: Lengths) -> list[int]:
        known = [leaf.clock == clock and not leaf.is_per_seed(lengths) for leaf in leaves]
        moments = [
            leaf.moments(lengths)[:MOST_CERTAIN] if is_known else ()
            for leaf, is_known in zip(leaves, known, strict=True)
        ]
        held = [set(each) for each in moments]
        fired: list[int] = []
        for moment in sorted(set().union(*held)):
            truth = (moment in each if is_known else None for each, is_known in zip(held, known, strict=True))
            if self.holds(iter(list(truth))) and self.may_fire(len(fired), moment - fired[-1] if fired else 0):
                fired.append(moment)
        return fired

    @override
    def sufficient(self) -> Sequence[Trigger]:
        leaves = self.leaves()
        if self.maximum or self.cooldown:
            return ()
        alone = [[True if other is leaf else None for other in leaves] for leaf in leaves]
        return [leaf.trigger for leaf, truth in zip(leaves, alone, strict=True) if self.holds(iter(truth))]

    def problems(self, lengths: Lengths) -> Iterator[tuple[str, str]]:
        """Those of its leaves, a cooldown on another clock than its moments have, and what can never hold."""
        yield from super().problems(lengths)
        for key, leaf, condition in self.leaves():
            yield from ((f"{key}.{of}", message) for of, message in leaf.problems(lengths))
            if self.cooldown and condition is None and leaf.clock != self.clock:
                message = f"with a cooldown, moments are planned on its clock, {self.clock!r}"
                yield f"{key}.clock", message
        if not self._can_hold():
            yield "of", "never fires: it cannot hold when a metric of it is read, nor at a planned moment of it"

    def _can_hold(self) -> bool:
        """Whether it holds for some truth of its conditions, at a reading or at a moment of some of its triggers."""
        leaves = [leaf.condition is not None for leaf in self.leaves()]
        return any(
            self.holds(iter(truth))
            for truth in product((False, True), repeat=len(leaves))
            # Without a metric it is only read at moments, where one of its triggers is true at least.
            if any(leaves) or any(truth)
        )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(self.leaves()) > MAX_LEAVES:
            raise PydanticCustomError("combined_size", "combines more than {most} triggers", {"most": MAX_LEAVES})
        for key, part in self.parts.items():
            planned = any(not leaf.key and leaf.condition is None for leaf in part.leaves())
            for name in _OUTERMOST if not planned else ():
                if getattr(part, name) != _OUTERMOST[name]:
                    raise PydanticCustomError(
                        "combined_limit",
                        "'{name}' of {key} has no effect within another trigger; give it to the outermost",
                        {"name": name, "key": key},
                    )
        return self


class Several(Combined, abstract=True):
    """A combination of a list of triggers."""

    of: Annotated[Items[Trigger], Field(min_length=1, max_length=MAX_LEAVES)]
    """The triggers that are combined."""

    @property
    @override
    def parts(self) -> Mapping[str, Trigger]:
        return {f"of[{index}]": part for index, part in enumerate(self.of)}

    @override
    def until(self, lengths: Lengths) -> Trigger:
        return self.model_copy(update={"of": tuple(part.until(lengths) for part in self.of)})


class AllOf(Several, kind="all"):
    """When several triggers hold at once.

    False where one of them is false, else unknown where one is unknown, else true. It is read for a seed whenever a row
    of one of its metrics is written, and at each planned moment of a trigger in it.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "all",
        "of": [
            {"kind": "plateau", "metric": "evaluation/return", "readings": 5},
            {"kind": "crossing", "metric": "critic/loss", "above": 10.0},
        ],
        "clock": "env",
        "cooldown": 100_000,
        "maximum": 0,
    }

    @override
    def holds(self, leaves: Iterator[bool | None]) -> bool | None:
        found = [part.holds(leaves) for part in self.of]
        return False if False in found else None if None in found else True

    @override
    def phrase(self) -> str:
        return joined(self.of, " and ")


class AnyOf(Several, kind="any"):
    """When one of several triggers holds.

    True where one of them is true, else unknown where one is unknown, else false. It is read as often as ``all``.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "any",
        "of": [
            {"kind": "at", "steps": [50_000], "clock": "env"},
            {"kind": "change", "metric": "critic/loss", "above": 3.0, "unit": "deviation"},
        ],
        "clock": "env",
    }

    @override
    def until(self, lengths: Lengths) -> Trigger:
        # A part that can no longer fire is left out: the others fire as before.
        shorter = [part.until(lengths) for part in self.of]
        ended = [any(any(leaf.trigger.problems(lengths)) for leaf in part.leaves()) for part in shorter]
        kept = tuple(part for part, is_over in zip(shorter, ended, strict=True) if not is_over)
        return self.model_copy(update={"of": kept or self.of})

    @override
    def holds(self, leaves: Iterator[bool | None]) -> bool | None:
        found = [part.holds(leaves) for part in self.of]
        return True if True in found else None if None in found else False

    @override
    def phrase(self) -> str:
        return joined(self.of, " or ")


class Not(Combined, kind="not"):
    """When another trigger does not hold; unknown where that is unknown. It is read as often as ``all``."""

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "not",
        "of": {"kind": "slope", "metric": "evaluation/return", "above": 1.0, "readings": 5},
        "clock": "env",
    }

    of: Trigger
    """The trigger that must not hold."""

    @property
    @override
    def parts(self) -> Mapping[str, Trigger]:
        return {"of": self.of}

    @override
    def until(self, lengths: Lengths) -> Trigger:
        return self.model_copy(update={"of": self.of.until(lengths)})

    @override
    def holds(self, leaves: Iterator[bool | None]) -> bool | None:
        found = self.of.holds(leaves)
        return None if found is None else not found

    @override
    def phrase(self) -> str:
        return f"not ({self.of.phrase()})"


def joined(triggers: Sequence[Trigger], word: str) -> str:
    """The phrases of triggers with a word between them, in brackets where there are several."""
    phrases = [each.phrase() for each in triggers]
    return phrases[0] if len(phrases) == 1 else f"({word.join(phrases)})"
