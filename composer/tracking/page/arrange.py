"""Arrange the page of an experiment for its runs: views, the note with links to them, a colour per agent.

All follows from what the experiment holds, so it may be repeated, and by several processes at once. What a user has
saved over a view, or written into the note, stays. Tests: tests/tracking/page/test_arrange.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from composer.tracking.page.colors import color_of
from composer.tracking.page.facts import PageFacts
from composer.tracking.page.links import OVERVIEW, VIEW_TAG, escaped, link
from composer.tracking.page.views import PARENTS, View, is_untouched, views

if TYPE_CHECKING:
    from mlflow import MlflowClient

FACTS: Final = "composer.page"
NOTE: Final = "mlflow.note.content"
NOTE_MARK: Final = "composer.note"
COLOR: Final = "mlflow.runColor"
LIMIT: Final = 20_000
"""Characters of a tag's value in MLflow."""
MOST_LINKS: Final = 16
TRIES: Final = 3
NEWEST: Final = 200
"""Runs whose colours are looked at."""


def arrange(client: MlflowClient, experiment_id: str, facts: PageFacts) -> None:
    """Write the views and the note that the experiment needs with one more run; nothing where all are there."""
    for _ in range(TRIES):  # Read again: another process may have written between.
        experiment = client.get_experiment(experiment_id)
        tags = dict(experiment.tags)
        known = PageFacts.read(tags.get(FACTS)).with_those_of(facts)
        found = views(known)
        wanted = {FACTS: known.text()} | _views(tags, found, int(experiment.creation_time or 0))
        wanted |= _note(tags, note(experiment_id, found))
        changed = {name: text for name, text in wanted.items() if tags.get(name) != text and len(text) <= LIMIT}
        for name, text in changed.items():
            client.set_experiment_tag(experiment_id, name, text)
        if not changed:
            return


def note(experiment_id: str, found: Sequence[View]) -> str:
    """One line of Markdown, since MLflow folds the note to its first."""
    links = [(view.name, link(experiment_id, view.key)) for view in found]
    links.insert(1, ("Table", link(experiment_id, OVERVIEW, "TABLE")))
    more = f" · and {len(links) - MOST_LINKS} more in the menu *Views*" if len(links) > MOST_LINKS else ""
    return "Views: " + " · ".join(f"[{escaped(name)}]({address})" for name, address in links[:MOST_LINKS]) + more


def _views(tags: dict[str, str], found: Sequence[View], created: int) -> dict[str, str]:
    texts = {f"{VIEW_TAG}{view.key}": view.text(created) for view in found}
    return {name: text for name, text in texts.items() if name not in tags or is_untouched(tags[name])}


def _note(tags: dict[str, str], wanted: str) -> dict[str, str]:
    before = tags.get(NOTE)
    if before not in (None, "", wanted) and tags.get(NOTE_MARK) != _digest(before or ""):
        return {}
    return {NOTE: wanted, NOTE_MARK: _digest(wanted)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def color_runs(client: MlflowClient, experiment_id: str, run_ids: Sequence[str]) -> None:
    """Give runs, the parent's id first, the colour of their agent, unless they have one."""
    tags = client.get_run(run_ids[0]).data.tags
    if COLOR in tags or "agent" not in tags:
        return
    parents = client.search_runs([experiment_id], PARENTS, max_results=NEWEST)
    taken = {
        run.data.tags["agent"]: run.data.tags[COLOR]
        for run in parents
        if "agent" in run.data.tags and COLOR in run.data.tags
    }
    color = color_of(tags["agent"], taken)
    for run_id in reversed(run_ids):  # The parent last: it tells that all have one.
        client.set_tag(run_id, COLOR, color)
