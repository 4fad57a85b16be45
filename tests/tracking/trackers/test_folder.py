"""Where trackers of files may write, how their folder is found again, and a tracker of a plug-in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from stores import once, tracked_by
from tracking_run import append, rows

from composer.blueprint import load
from composer.spec import plugins
from composer.tracking.base import Destination, StoreRefused, Tracker
from composer.tracking.project import admitted
from composer.tracking.records import JOURNAL, RunDescription, Tracking
from composer.tracking.trackers.csv_store import CsvStore
from composer.tracking.trackers.csv_tracker import CsvTracker
from composer.tracking.uploader import Uploader, sync

TINY = Path(__file__).parents[2] / "tiny.toml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a link out of it, as the working folder."""
    (tmp_path / "project" / "runs").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "project" / "link").symlink_to(tmp_path / "out")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def written(project: Path, directory: str, *overrides: str) -> Tracker:
    text = TINY.read_text().replace('kind = "none"', f'kind = "csv", directory = "{directory}"')
    (project / "mine.toml").write_text(text)
    return load(project / "mine.toml", overrides, is_to_run=False).blueprint.tracking


@pytest.mark.parametrize("directory", ["../out", "link", "link/deeper", "a/../../out"])
def test_a_blueprint_s_folder_stays_in_the_project_unless_the_user_names_it(directory: str, project: Path) -> None:
    tracker = written(project, directory)
    with pytest.raises(StoreRefused, match=r"is outside of the project .*say so with tracking\.directory=") as error:
        admitted(tracker, project / "runs", {})
    assert error.value.exit_code == 2 and not list((project.parent / "out").iterdir())
    typed = written(project, "mine", f"tracking.directory='{directory}'")
    assert admitted(typed, project / "runs", {}) is not None
    assert admitted(written(project, "results/csv"), project / "runs", {}) is not None


@pytest.mark.parametrize("uri", ["csv:/OUT", "csv:../../../out", "parquet:x", "csv:", "x", "sqlite:///x.db"])
def test_a_run_directory_of_a_stranger_makes_no_folder_elsewhere(uri: str, project: Path, run_dir: Path) -> None:
    run_dir = Path(shutil.move(run_dir, project / "runs" / "small"))
    tracking = Tracking.load(tracked_by(run_dir, "csv"))
    assert tracking is not None
    tracking.uri, tracking.source = uri.replace("/OUT", str(project.parent / "out")), "blueprint"
    tracking.save(run_dir)
    with pytest.raises(StoreRefused):
        sync(run_dir)
    assert not list((project.parent / "out").iterdir())


def test_a_folder_moves_with_its_project(project: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = Path(shutil.move(run_dir, project / "runs" / "small"))
    monkeypatch.setattr(Uploader, "_spawn", lambda _: None)
    Uploader.start(run_dir, CsvTracker(directory="results"), RunDescription(), run_dir.parent)
    append(run_dir / JOURNAL, rows())
    assert sync(run_dir).is_complete and (project / "results" / "composer" / "r-1.csv").is_file()
    monkeypatch.chdir("/")
    moved = project.rename(project.parent / "moved")
    (moved / "results" / "composer" / "r-1.csv").unlink()
    report = sync(moved / "runs" / "small")
    assert report.is_complete and (moved / "results" / "composer" / "r-1.csv").is_file() and not project.exists()


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed plug-in, not imported yet, that brings the tracker ``acme/files``."""

    def imported(name: str) -> None:
        class Files(Tracker, kind="acme/files"):
            """Files at the place that the kind itself chooses."""

            example: ClassVar[Mapping[str, Any]] = {"kind": "acme/files", "place": "here"}

            place_of_files: str

            def destination(self, runs_dir: Path, environment: Mapping[str, str] = {}) -> Destination:
                return Destination(f"acme://{runs_dir}/{self.place_of_files}", "blueprint")

            @classmethod
            def opened(cls, destination: Destination) -> AbstractContextManager[Any]:
                folder = Path(destination.uri.removeprefix("acme://"))
                return closing(CsvStore(Destination(destination.uri, "blueprint", folder=folder)))

    monkeypatch.setattr(plugins, "distributions_of", lambda name: ("composer-acme",))
    monkeypatch.setattr(plugins, "load", imported)
    yield
    Tracker._kinds.pop("acme/files", None)


def test_a_tracker_of_a_plug_in_is_imported_where_its_run_is_uploaded(run_dir: Path, plugin: None) -> None:
    tracking = Tracking.load(tracked_by(run_dir, "acme/files"))
    assert tracking is not None
    tracking.uri, tracking.source = f"acme://{run_dir.parents[1]}/csv", "blueprint"
    tracking.save(run_dir)
    append(run_dir / JOURNAL, rows())
    report = sync(run_dir)
    assert report.is_complete and report.mlflow_run_id is None
    assert len(once(run_dir, "csv")) > len(rows())
