"""The page of an experiment is arranged once, by whoever comes, and what people have changed there stays."""

from pathlib import Path
from typing import Any

import pytest
from tracking_run import SEEDS, append, new_run, rows

from composer.tracking import ui
from composer.tracking.base import Destination
from composer.tracking.mlflow_store import MlflowStore
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.page.arrange import COLOR, NOTE, arrange
from composer.tracking.page.colors import PALETTE, color_of
from composer.tracking.page.facts import PageFacts
from composer.tracking.page.links import VIEW_TAG
from composer.tracking.page.views import study_key, task_key
from composer.tracking.records import JOURNAL, StoredRun
from composer.tracking.uploader import sync
from mlflow import MlflowClient

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
FACTS = PageFacts(("evaluation/return",), (), ())
OVERVIEW = f"{VIEW_TAG}overview"


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a study that is in the store."""
    path = new_run(tmp_path_factory.mktemp("project") / "runs" / "small", tags={"agent": "sac@reset", "study": "norms"})
    append(path / JOURNAL, rows())
    assert sync(path).is_complete
    return path


@pytest.fixture
def client(run_dir: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=store(run_dir).client_uri)


@pytest.fixture
def experiment(client: MlflowClient, request: pytest.FixtureRequest) -> str:
    """An experiment whose page is arranged for one run."""
    found = str(client.create_experiment(request.node.name))
    arrange(client, found, FACTS)
    return found


def store(run_dir: Path) -> Destination:
    return MlflowTracker().destination(run_dir.parent, {})


def tags(client: MlflowClient, experiment: str = "1") -> dict[str, str]:
    return dict(client.get_experiment(experiment).tags)


def test_a_run_leaves_views_a_note_and_one_colour_for_all_of_its_runs(client: MlflowClient, run_dir: Path) -> None:
    views = {name.removeprefix(VIEW_TAG) for name in tags(client) if name.startswith(VIEW_TAG)}
    assert views == {"overview", "plasticity", "media", study_key("norms")}
    assert all(f"viewStateShareKey={key})" in tags(client)[NOTE] for key in views) and "\n" not in tags(client)[NOTE]
    stored = StoredRun.load(run_dir)
    assert stored is not None and len(stored.ids()) == 1 + len(SEEDS)
    assert {client.get_run(each).data.tags[COLOR] for each in stored.ids()} == {color_of("sac@reset", {})}
    address, where = ui.address(1, store(run_dir), "composer"), "/#/experiments/1/runs?workflowType=machine_learning"
    assert address == f"http://127.0.0.1:1{where}&compareRunsMode=CHART&viewStateShareKey=overview"
    assert ui.address(1, store(run_dir), "any", "norms").endswith(f"ShareKey={study_key('norms')}")
    with pytest.raises(ui.ServerError, match="no run of a study 'other' is in sqlite"):
        ui.address(1, store(run_dir), "composer", "other")


def test_of_several_tasks_the_page_opens_on_that_of_the_newest_run(client: MlflowClient, run_dir: Path) -> None:
    found = str(client.create_experiment("several"))
    for moment, task in enumerate(("walk", "run", "walk")):
        run = client.create_run(found, start_time=moment + 1, tags={"task": task, "agent": "sac"})
        arrange(client, found, PageFacts.of("evaluation/return", [], run.data.tags))
        first = task_key(task) if moment else "overview"
        assert ui.address(1, store(run_dir), "several").endswith(f"ShareKey={first}")


def test_repeating_it_writes_nothing_and_what_a_user_changed_stays(
    client: MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tags(client, experiment)
    with monkeypatch.context() as patch:
        patch.setattr(client, "set_experiment_tag", lambda *_: pytest.fail("written again"))
        arrange(client, experiment, FACTS)
    client.set_experiment_tag(experiment, NOTE, "mine")
    client.set_experiment_tag(experiment, OVERVIEW, '{"name": "mine", "state": "{}"}')
    arrange(client, experiment, PageFacts(("evaluation/accuracy",), (), ("other",)))
    after = tags(client, experiment)
    assert after[NOTE] == "mine" and '"mine"' in after[OVERVIEW]
    assert after[f"{VIEW_TAG}plasticity"] != before[f"{VIEW_TAG}plasticity"], "the others follow the new run"
    assert f"{VIEW_TAG}{study_key('other')}" in after


def test_processes_that_write_at_once_lose_nothing(
    client: MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one reads and writes all between our reading and our writing, which then undoes it: it looks again."""
    write, (ours, theirs) = client.set_experiment_tag, [PageFacts((), (), (name,)) for name in ("ours", "theirs")]
    writes = iter([lambda: None, lambda: arrange(client, experiment, theirs)])

    def written_between(*arguments: Any) -> None:
        next(writes, lambda: None)()
        write(*arguments)

    monkeypatch.setattr(client, "set_experiment_tag", written_between)
    arrange(client, experiment, ours)
    found = tags(client, experiment)
    assert {study_key("ours"), study_key("theirs")} <= {name.removeprefix(VIEW_TAG) for name in found}
    assert "ours" in found[NOTE] and "theirs" in found[NOTE]


def test_a_page_that_cannot_be_arranged_costs_no_row(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no tags here")

    path = new_run(run_dir.with_name("other"), "r-2")
    append(path / JOURNAL, rows())
    monkeypatch.setattr(MlflowStore, "arrange", refuse)
    report = sync(path)
    assert report.is_complete and report.pending == 0
    assert "its page lacks views: OSError: no tags here" in report.message
    monkeypatch.undo()
    assert "lacks" not in sync(path).message


def test_agents_have_different_colours_while_there_are_any() -> None:
    taken: dict[str, str] = {}
    for number in range(len(PALETTE)):
        taken[f"agent{number}"] = color_of(f"agent{number}", taken)
    assert set(taken.values()) == set(PALETTE)
    assert color_of("one more", taken) in PALETTE and color_of("agent3", taken) == taken["agent3"]
