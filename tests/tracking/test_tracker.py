"""Trackers: which store a run goes to, which are refused, and that no secret is ever shown."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from composer.spec.family import Spec
from composer.tracking.base import NoTracker, Tracker, redact
from composer.tracking.mlflow_tracker import MlflowTracker

ROOT = Path(__file__).parents[2]
SECRETS = ("hunter2", "tok3n")


class Blueprint(Spec):
    """A blueprint as far as tracking goes."""

    tracking: Tracker


def load(**fields: object) -> MlflowTracker:
    tracker = Blueprint.model_validate({"tracking": {"kind": "mlflow", **fields}}).tracking
    assert isinstance(tracker, MlflowTracker)
    return tracker


def test_a_run_goes_to_the_blueprint_s_store_else_the_environment_s_else_the_one_beside_the_runs(
    tmp_path: Path,
) -> None:
    runs, environment = tmp_path / "runs", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}
    named = load(uri="sqlite:////data/m.db").destination(runs, environment)
    assert (named.uri, named.source, named.artifacts) == ("sqlite:////data/m.db", "blueprint", Path("/data/artifacts"))
    served = load().destination(runs, environment)
    assert (served.uri, served.source, served.artifacts) == ("http://127.0.0.1:5000", "environment", None)
    own = load().destination(runs, {})
    assert (own.uri, own.source) == (f"sqlite:///{tmp_path}/mlflow/mlflow.db", "embedded")
    assert own.artifacts == tmp_path / "mlflow" / "artifacts"
    assert NoTracker().destination(runs, environment) is None


def test_relative_databases_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(uri="sqlite:///m.db").destination(Path("runs"), {}).uri == f"sqlite:///{tmp_path}/m.db"
    assert load().destination(Path("runs"), {}).uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("file:///runs", "use a database: sqlite:///PATH/mlflow.db"),
        ("./mlruns", "use a database: sqlite:///PATH/mlflow.db"),
        ("sqlite://", "a database in memory is lost at once"),
        ("sqlite:///:memory:", "a database in memory is lost at once"),
        ("s3://bucket", "no tracking store is reached by 's3'"),
        ("http://[hunter2", "no URI: Invalid IPv6 URL"),
        ("https://me:hunter2@host/", "credentials are accepted from the environment only"),
        ("https://tok3n@host/", "credentials are accepted from the environment only"),
        ("postgresql+psycopg2://me:hunter2@host/db", "credentials are accepted from the environment only"),
        ("https://host/?api_key=tok3n&x=1", "credentials are accepted from the environment only"),
    ],
)
def test_a_refused_uri_is_explained_without_its_secrets(uri: str, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load(uri=uri)
    (error,) = caught.value.errors()
    assert error["loc"] == ("tracking", "uri")
    assert problem in error["msg"]
    assert not any(secret in str(caught.value) + str(error) for secret in SECRETS)


def test_credentials_of_the_environment_are_used_but_not_shown(tmp_path: Path) -> None:
    uri = "https://me:hunter2@host:5000/path"
    found = load().destination(tmp_path, {"MLFLOW_TRACKING_URI": uri})
    assert found.uri == uri and found.shown == "https://***@host:5000/path"
    with pytest.raises(ValueError, match=r"^MLFLOW_TRACKING_URI=ftp://me:\*\*\*@host: no tracking store") as caught:
        load().destination(tmp_path, {"MLFLOW_TRACKING_URI": "ftp://me:hunter2@host"})
    assert "hunter2" not in str(caught.value)


def test_redaction_keeps_what_is_no_secret() -> None:
    assert redact("postgresql://me:hunter2@host:1/db") == "postgresql://me:***@host:1/db"
    assert redact("postgresql://me@host/db") == "postgresql://me@host/db"
    assert redact("mysql://host/db?user=me&password=hunter2&ssl=1") == "mysql://host/db?user=me&password=***&ssl=1"
    assert redact("sqlite:////a/b.db") == "sqlite:////a/b.db"


@pytest.mark.parametrize("name", ["", "../up", "a\nb", "x" * 300])
def test_experiment_names_are_plain(name: str) -> None:
    with pytest.raises(ValidationError):
        load(experiment=name)


@pytest.mark.parametrize("kind", Tracker.kinds().values())
def test_every_kind_s_example_loads_and_dumps_to_itself(kind: type[Tracker]) -> None:
    tracker = Blueprint.model_validate({"tracking": dict(kind.example)})
    assert Blueprint.model_validate(tracker.model_dump()) == tracker


def test_reading_a_blueprint_and_training_load_neither_mlflow_nor_rich() -> None:
    script = (
        "import sys, composer.tracking.base, composer.tracking.uploader, composer.tracking.journal\n"
        "import composer.tracking.console, composer.tracking.ui\n"
        "print([name for name in ('torch', 'mlflow', 'scipy', 'sqlalchemy', 'rich') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output == "[]\n"


def test_the_folder_mlflow_does_not_hide_the_package() -> None:
    assert list((ROOT / "mlflow").rglob("*.py")) == []
    # From the source root, with its path first: what a developer's shell does. The spec is found without importing it.
    script = "import importlib.util as u; spec = u.find_spec('mlflow'); print(spec.origin, spec.loader is not None)"
    output = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.endswith("mlflow/__init__.py True\n") and not output.startswith(str(ROOT / "mlflow"))
