"""Views of an experiment's page: which runs, charts, columns and order MLflow shows, by a link.

MLflow keeps a shared view as a tag of the experiment. The format is internal to it and was tried on MLflow 3.17; a
test opens the views in a browser. What is not known is ignored there, and names, tags and order still do their part.
Tests: tests/tracking/page/test_views.py, tests/tracking/page/test_browser.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from composer.tracking.media.files import CURVE
from composer.tracking.media.sending import NEWEST
from composer.tracking.page.facts import MEASURES, PageFacts
from composer.tracking.page.links import OVERVIEW
from composer.tracking.page.names import RESULT, STEPS, Headline

PARENTS: Final = "tags.`composer.role` = 'parent'"
TAGS: Final = ("task", "agent", "seeds")
"""Tags that are columns."""
MANY: Final = 1000
"""Runs of one chart; MLflow's own default hides all but ten."""
PICTURES: Final = "pictures"
"""A filter that no chart of a metric matches, and that pictures ignore."""
State = dict[str, Any]


class View(NamedTuple):
    """A view by its key, with its name in MLflow's list of views."""

    key: str
    name: str
    state: State

    def text(self, created: int) -> str:
        """The tag's value; ``created`` in milliseconds since the epoch."""
        packed = zlib.compress(json.dumps(self.state, sort_keys=True).encode(), 9)
        state = f"deflate;{base64.b64encode(packed).decode()}"
        return json.dumps({"name": self.name, "createdAt": created, "state": state, "composer": _digest(state)})


def is_untouched(text: str) -> bool:
    """Whether a tag's value is a view as ``View.text`` gave it, not one that a user has saved over it."""
    try:
        found = json.loads(text)
        return bool(found["composer"] == _digest(found["state"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def views(facts: PageFacts) -> list[View]:
    """The views of an experiment, the first of which opens first."""
    tasks = facts.by_task()
    found = [
        View(OVERVIEW, "All tasks" if tasks else "Agents by result", _state(facts, _overview(facts))),
        View("plasticity", "Plasticity", _state(facts, _plasticity(facts), shown=f"^{RESULT}/|^{MEASURES}")),
        View("media", "Pictures", _state(facts, _pictures(facts), shown=PICTURES)),
    ]
    for study in facts.studies:
        state = _state(facts, _overview(facts), where=f"{PARENTS} AND tags.`study` = {_quoted(study)}")
        found.append(View(study_key(study), f"Study {study}", state))
    for task, own in tasks.items():
        state = _state(own, _overview(own), where=f"{PARENTS} AND tags.`task` = {_quoted(task)}")
        found.append(View(task_key(task), task, state))
    return found


def study_key(study: str) -> str:
    """The key of the view of a study."""
    return _key("study", study)


def task_key(task: str) -> str:
    """The key of the view of a task; there is none where all runs of an experiment are of one task."""
    return _key("task", task)


def _key(of: str, name: str) -> str:
    return f"{of}-{re.sub(r'[^A-Za-z0-9]+', '-', name)}-{_digest(name)[:6]}"


class Section(NamedTuple):
    """A section with its charts, as MLflow describes them but for the section."""

    name: str
    charts: list[State]
    columns: int = 2
    height: int = 290


def _overview(facts: PageFacts) -> list[Section]:
    """Result and area by agent; of several tasks it says that they are not on one scale."""
    tasks = facts.by_task()
    mixed = f" of {len(tasks)} tasks, whose scales differ: choose one above" if tasks else ""
    sections = []
    for shown in facts.headlines:
        title = _title(shown)
        sections += [
            Section(
                f"{title}{mixed or ': mean over seeds; dashed: 95 % interval'}",
                [_with_interval(shown), _bar(shown.name)],
            ),
            Section(f"{title} over training: area under the curve, best", [_bar(shown.area), _bar(shown.best)], 2, 230),
        ]
    return sections


def _plasticity(facts: PageFacts) -> list[Section]:
    sections = [Section(_title(each), [_with_interval(each), _bar(each.area)], 2, 230) for each in facts.headlines]
    by_role: dict[str, list[State]] = {}
    for name in facts.measures:
        by_role.setdefault(name.split("/")[1], []).append(_line(name))
    return [*sections, *(Section(f"Diagnostics: {role}", charts, 2, 260) for role, charts in by_role.items())]


def _pictures(facts: PageFacts) -> list[Section]:
    """Side by side: MLflow shows a picture in a square as wide as its card, below the parameters of its run."""
    ordered = sorted(facts.pictures, key=lambda key: (key != CURVE, key))
    return [Section(", ".join(ordered).capitalize(), [_picture(key) for key in ordered], 3, 720)]


def _state(facts: PageFacts, sections: list[Section], *, where: str = PARENTS, shown: str = "") -> State:
    """The state of a view: ``where`` selects runs, ``shown`` (a regular expression) charts."""
    first, columns = facts.headlines[0], list(_columns(facts))
    charts = [
        chart | {"metricSectionId": f"section-{number}", "uuid": f"chart-{number}-{place}"}
        for number, section in enumerate(sections)
        for place, chart in enumerate(section.charts)
    ]
    drawn = {chart["metricKey"] for chart in charts}
    # MLflow adds a chart for each metric that has none, unless there is one that was deleted.
    details = [name for each in facts.headlines for name in (each.low, each.high, each.iqm) if name not in drawn]
    charts += [_line(name) | {"uuid": f"deleted-{name}", "deleted": True} for name in (*details, STEPS)]
    return {
        "searchFilter": where,
        "orderByKey": _metric(first.name),
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": columns,
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
        "chartsSearchFilter": shown,
        "compareRunSections": [_section(number, section) for number, section in enumerate(sections)],
        "compareRunCharts": charts,
    }


def _columns(facts: PageFacts) -> Iterator[str]:
    for each in facts.headlines:
        yield from map(_metric, (each.name, each.area, each.best))
    yield from (f"tags.`{tag}`" for tag in TAGS)
    yield _metric(STEPS)


def _section(number: int, section: Section) -> State:
    return {
        "uuid": f"section-{number}",
        "name": section.name,
        "display": True,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": section.columns,
        "cardHeight": section.height,
    }


def _with_interval(shown: Headline) -> State:
    return _line(shown.name) | {"selectedMetricKeys": [shown.name, shown.low, shown.high], "displayPoints": False}


def _line(name: str) -> State:
    return _chart("LINE", name) | {"xAxisKey": "step", "lineSmoothness": 0, "useGlobalLineSmoothing": False}


def _picture(key: str) -> State:
    return _chart("IMAGE", "") | {"imageKeys": [key], "step": NEWEST}


def _bar(name: str) -> State:
    return _chart("BAR", name)


def _chart(kind: str, name: str) -> State:
    return {"type": kind, "metricKey": name, "runsCountToCompare": MANY, "deleted": False, "isGenerated": False}


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _title(shown: Headline) -> str:
    """``Result/r_squared`` as ``R squared``."""
    return shown.name.partition("/")[2].replace("_", " ").capitalize()


def _quoted(text: str) -> str:
    mark = '"' if "'" in text else "'"
    return f"{mark}{text}{mark}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
