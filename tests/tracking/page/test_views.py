"""Views of an experiment's page, as the tags that MLflow reads."""

import base64
import json
import zlib
from typing import Any

import pytest

from composer.tracking.page.arrange import LIMIT, note
from composer.tracking.page.facts import MOST, MOST_TASKS, PageFacts
from composer.tracking.page.names import headline
from composer.tracking.page.views import View, is_untouched, task_key, views

RUN = PageFacts.of(
    "evaluation/return",
    ["critic/loss", "diagnostics/critic/rank.v1", "diagnostics/critic/layers/0/rank.v1", "diagnostics/critic/*.v1"],
    {"study": "it's", "agent": "sac"},
)


def state(view: View) -> dict[str, Any]:
    """What MLflow reads: the state, packed as JSON within JSON."""
    packed = json.loads(view.text(1))["state"].removeprefix("deflate;")
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return found


def by_key(facts: PageFacts) -> dict[str, dict[str, Any]]:
    return {view.key.partition("-")[0]: state(view) for view in views(facts)}


def test_the_overview_has_parents_by_result_with_the_interval_in_one_chart() -> None:
    found = by_key(RUN)["overview"]
    assert found["searchFilter"] == "tags.`composer.role` = 'parent'", "seeds are not mixed with means over them"
    assert (found["orderByKey"], found["orderByAsc"]) == ("metrics.`Result/return`", False)
    assert found["runsHiddenMode"] == "SHOW_ALL", "MLflow hides all but ten"
    assert found["selectedColumns"] == [
        *(f"metrics.`Result/return{end}`" for end in ("", ".area", ".best")),
        *(f"tags.`{tag}`" for tag in ("task", "agent", "seeds")),
        "metrics.`Result/steps`",
    ]
    first, second, *_ = (chart for chart in found["compareRunCharts"] if not chart["deleted"])
    assert first["selectedMetricKeys"] == ["Result/return", "Result/return.low", "Result/return.high"]
    assert (second["type"], second["metricKey"]) == ("BAR", "Result/return")
    assert {chart["runsCountToCompare"] for chart in found["compareRunCharts"]} == {1000}


@pytest.mark.parametrize("key", ["overview", "plasticity", "media", "study"])
def test_no_detail_of_the_headline_gets_a_chart_that_nobody_asked_for(key: str) -> None:
    """MLflow adds one for each metric that is no chart's ``metricKey``; one that was deleted counts."""
    shown = headline("evaluation/return")
    charts = by_key(RUN)[key]["compareRunCharts"]
    assert {shown.low, shown.high, shown.iqm, "Result/steps"} <= {chart["metricKey"] for chart in charts}
    assert not {shown.low, shown.high} & {chart["metricKey"] for chart in charts if not chart["deleted"]}
    assert len({chart["uuid"] for chart in charts}) == len(charts)


def test_the_views_of_an_experiment_grow_with_its_runs() -> None:
    other = PageFacts.of("evaluation/accuracy", ["diagnostics/actor/dormant.v1"], {})
    both = by_key(RUN.with_those_of(other))
    assert RUN.with_those_of(other) == other.with_those_of(RUN) and RUN.with_those_of(RUN) == RUN
    assert [section["name"] for section in both["plasticity"]["compareRunSections"]] == [
        "Return", "Accuracy", "Diagnostics: actor", "Diagnostics: critic"
    ]  # fmt: skip
    drawn = [each["metricKey"] for each in both["plasticity"]["compareRunCharts"] if not each["deleted"]]
    assert [name for name in drawn if name.startswith("diagnostics")] == [
        "diagnostics/actor/dormant.v1", "diagnostics/critic/rank.v1"
    ]  # fmt: skip
    assert both["study"]["searchFilter"].endswith('AND tags.`study` = "it\'s"')
    assert PageFacts.read(RUN.text()) == RUN and PageFacts.read("[1") == PageFacts.read("[1]") == PageFacts((), (), ())


def test_tasks_of_different_scales_have_a_view_each_with_their_own_metric() -> None:
    walk = PageFacts.of("evaluation/return", [], {"task": "walker-walk"})
    digits = PageFacts.of("evaluation/accuracy", [], {"task": "it's digits"})
    assert [view.name for view in views(walk.with_those_of(walk))] == ["Agents by result", "Plasticity", "Pictures"]
    both = PageFacts.read(walk.with_those_of(digits).text())
    assert both == digits.with_those_of(walk)
    overview, *_, first, second = views(both)
    assert [overview.name, first.name, second.name] == ["All tasks", "it's digits", "walker-walk"]
    assert second.key == task_key("walker-walk") and first.key == task_key("it's digits")
    titles = [section["name"] for section in state(overview)["compareRunSections"]]
    assert titles[0] == "Return of 2 tasks, whose scales differ: choose one above"
    assert state(first)["searchFilter"].endswith('AND tags.`task` = "it\'s digits"')
    assert state(first)["orderByKey"] == "metrics.`Result/accuracy`"
    sections = [section["name"] for section in state(second)["compareRunSections"]]
    assert sections[0] == "Return: mean over seeds; dashed: 95 % interval" and len(sections) == 2


def test_pictures_are_beside_each_other_and_metrics_are_left_out() -> None:
    found = by_key(PageFacts.of("evaluation/return", ["events/reset"], {}))["media"]
    shown = [chart for chart in found["compareRunCharts"] if not chart["deleted"]]
    assert [(chart["type"], chart["imageKeys"]) for chart in shown] == [
        ("IMAGE", ["curve"]), ("IMAGE", ["architecture"]), ("IMAGE", ["interventions"])
    ]  # fmt: skip
    assert found["chartsSearchFilter"] == "pictures"
    assert by_key(RUN)["media"]["compareRunSections"][0]["name"] == "Curve, architecture", "no card that stays empty"


def test_the_largest_view_fits_into_a_tag() -> None:
    names = [f"diagnostics/role{number % 7}/a_measure_of_a_long_name_{number**5}.v1" for number in range(2 * MOST)]
    many = PageFacts((), (), ()).with_those_of(PageFacts.of("evaluation/return", names, {"study": "s" * 200}))
    for number in range(2 * MOST_TASKS):
        many = many.with_those_of(PageFacts.of("evaluation/return", [], {"task": f"a-task-of-a-long-name-{number:03}"}))
    found = views(many)
    assert len(found) == 4 + MOST_TASKS and len(note("1", found)) < LIMIT
    assert max(len(view.text(1)) for view in found) < LIMIT and len(many.text()) < LIMIT


def test_a_view_that_a_user_saved_over_ours_is_told_from_it() -> None:
    text = views(RUN)[0].text(1)
    saved = json.dumps({**json.loads(text), "state": "deflate;other"})
    assert is_untouched(text) and not any(map(is_untouched, (saved, '{"state": "{}"}', "[]", "no JSON")))
