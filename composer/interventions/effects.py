"""The effect of an intervention, measured at its firings by two forks of the learner.

``composer.training.surgery.effects`` measures it. Tests: tests/interventions/test_effects.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from pydantic import Field

from composer.spec.family import Items, Spec
from composer.spec.metrics import Metric

LARGEST_SHARE: Final = 0.15
"""Most updates of all forks of a run together, as a share of the updates of the run."""
BLOCKS: Final = 10
"""Parts of the horizon; the interval of an effect is over their means."""
EFFECTS: Final = "effects"
"""How the names of measured effects begin."""
BOUNDS: Final = ("low", "high")


class EffectMeasure(Spec):
    """Measure what a firing does: two forks of the learner, one with it and one without, make the same updates.

    Both start at the firing, learn from the same minibatches, drawn anew from what the run has stored by then, with the
    same noise, and end after ``updates`` updates. Neither acts: no new data arrive, so that an effect by other data is
    no part of it. The effect on a signal of the losses is its mean with the firing minus that without. The interval is
    over the means of ten parts of the horizon, which are not independent: over seeds there is a better one. The run
    itself does not change by a bit.
    """

    updates: Annotated[int, Field(ge=BLOCKS, le=10**6)] = 200
    """Updates of each fork."""
    firings: Annotated[int, Field(ge=1, le=1_000)] = 5
    """The first so many firings of each seed are measured."""
    signals: Annotated[Items[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=16)] = ()
    """Metrics of the losses, such as ``critic/loss``; all that end in ``/loss`` where none is named."""

    def chosen(self, known: Sequence[str]) -> Sequence[str]:
        """The signals to measure, of those ``known``."""
        return self.signals or [name for name in known if name.endswith("/loss")]

    def metrics(self, name: str, signals: Sequence[Metric]) -> Iterator[Metric]:
        """What it writes for the intervention ``name``, given what the losses report."""
        for signal in signals:
            if signal.name in self.chosen([each.name for each in signals]):
                what = f"effect of {name} on {signal.name}: its mean with the firing minus that without"
                yield Metric(effect_name(name, signal.name), what, signal.unit, condition="at a measured firing")
                for bound in BOUNDS:
                    meaning = f"{bound} end of the interval of that effect"
                    named = effect_name(name, signal.name, bound)
                    yield Metric(named, meaning, signal.unit, condition="at a measured firing")


def effect_name(intervention: str, signal: str, bound: str = "") -> str:
    """The metric of an effect, or of an end of its interval: ``effects/reset/critic/loss``, ``.../low``."""
    return "/".join(filter(None, (EFFECTS, intervention, signal, bound)))
