"""What the page of an experiment must know of its runs to draw them. Tests: tests/tracking/page/test_views.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Self

from composer.tracking.media.files import ARCHITECTURE, CURVE, INTERVENTIONS
from composer.tracking.page.names import DEFAULT, Headline, headline

MEASURES: Final = "diagnostics/"
"""How the names of diagnostics begin."""
EVENTS: Final = "events/"
"""How the names of firings of interventions begin."""
LAYERS: Final = "/layers/"
"""What the names of diagnostics of single layers contain: too many for a view."""
MOST: Final = 200
"""Measures that are kept; a view of more would not fit into a tag."""
MOST_TASKS: Final = 64
"""Tasks that have a view of their own: Atari's 57, and a few."""


class PageFacts(NamedTuple):
    """What the runs of an experiment have, sorted."""

    metrics: tuple[str, ...]
    """Evaluation metrics, by their names in the journal."""
    measures: tuple[str, ...]
    """Diagnostics of whole networks."""
    studies: tuple[str, ...]
    pictures: tuple[str, ...] = ()
    """Keys of pictures."""
    tasks: tuple[tuple[str, str], ...] = ()
    """Tasks with the evaluation metric of their runs."""

    @classmethod
    def of(cls, metric: str, written: Iterable[str], tags: Mapping[str, str]) -> Self:
        """Those of one run: its evaluation metric, the metrics that it writes, and its tags."""
        names = [*written]
        measures = [name for name in names if name.startswith(MEASURES) and LAYERS not in name and "*" not in name]
        pictures = [ARCHITECTURE, CURVE]
        if any(name.startswith(EVENTS) for name in names):
            pictures.append(INTERVENTIONS)
        found, task = metric or DEFAULT, tags.get("task")
        studies, tasks = tuple(filter(None, [tags.get("study")])), ((task, found),) if task else ()
        return cls((found,), tuple(measures), studies, tuple(pictures), tasks)

    @classmethod
    def read(cls, text: str | None) -> Self:
        """What ``text`` gave; empty where a tag was edited."""
        try:
            found = json.loads(text or "{}")
            texts = {name: tuple(map(str, found.get(name, ()))) for name in cls._fields if name != "tasks"}
            return cls(**texts, tasks=tuple((str(task), str(metric)) for task, metric in found.get("tasks", ())))
        except (ValueError, AttributeError, TypeError):
            return cls((), (), ())

    def text(self) -> str:
        """For a tag of the experiment."""
        return json.dumps(self._asdict())

    def with_those_of(self, run: PageFacts) -> PageFacts:
        """Those of the experiment with those of one more run."""
        metrics, measures, studies, pictures = (tuple(sorted({*a, *b})) for a, b in zip(self[:4], run[:4], strict=True))
        tasks = tuple(sorted({*self.tasks, *run.tasks}))[:MOST_TASKS]
        return PageFacts(metrics, measures[:MOST], studies, pictures, tasks)

    def by_task(self) -> dict[str, PageFacts]:
        """By task, where there are several, those of its runs."""
        names = dict.fromkeys(task for task, _ in self.tasks)
        return {
            name: self._replace(metrics=tuple(metric for task, metric in self.tasks if task == name), tasks=())
            for name in (names if len(names) > 1 else ())
        }

    @property
    def headlines(self) -> list[Headline]:
        """The headlines of the experiment; that of returns first."""
        return [headline(each) for each in sorted(self.metrics, key=lambda name: (name != DEFAULT, name))]
