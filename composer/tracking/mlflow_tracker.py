"""MLflow as a tracker: which of its stores a run goes to. No mlflow is imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.spec.metrics import Metric
from composer.tracking.base import (
    EXPERIMENT,
    URI_VARIABLE,
    Destination,
    Source,
    StoreRefused,
    Tracker,
    default_root,
    located,
    quoted,
    redact,
    uri_problem,
)
from composer.tracking.page.names import charted

if TYPE_CHECKING:
    from composer.tracking.store import Store


class MlflowTracker(Tracker, kind="mlflow"):
    """MLflow: a parent run with means over seeds and one child run per seed, sent by a process of its own."""

    product: ClassVar[str] = "MLflow"
    example: ClassVar[Mapping[str, Any]] = {"kind": "mlflow", "experiment": "composer"}

    uri: str | None = Field(default=None, max_length=2_000)
    """Tracking URI without credentials. Absent: ``MLFLOW_TRACKING_URI``, else a database next to the runs directory."""
    experiment: str | None = Field(default=None, pattern=EXPERIMENT)
    """Name of the MLflow experiment; created where it does not exist. Absent: the study's name for a run of a study,
    else that of the folder in which the runs directory is."""
    system_metrics: bool = True
    """Record processor, memory and GPU use on the parent run."""
    pictures: bool = True
    """Draw networks, learning curve and firings of interventions while the run trains, by a process of low priority."""
    films: bool = True
    """Film an episode of the last and of the best agent at the end, where the machine renders. The command waits for it
    a tenth of the time that training took, and 5 minutes at most; runs shorter than 100 seconds have no films."""

    @field_validator("uri", mode="after")
    @classmethod
    def _accept(cls, uri: str | None, info: ValidationInfo) -> str | None:
        problem = None if uri is None else uri_problem(uri, from_blueprint=True)
        if uri is None or problem is None:
            return uri
        # Raised with a redacted input: the report of a refused URI must not print its password.
        error = PydanticCustomError("tracking_uri", "{problem}", {"problem": problem})
        raise ValidationError.from_exception_data(cls.__name__, [{"type": error, "loc": (), "input": redact(uri)}])

    @override
    @classmethod
    def recorded(cls, uri: str, source: Source, runs_dir: Path, run_dir: Path) -> Destination:
        if problem := uri_problem(uri, from_blueprint=True):
            raise StoreRefused(f"{redact(uri)}: {problem}")
        return located(uri, source, runs_dir, run_dir)

    @override
    @classmethod
    def opening(cls, destination: Destination) -> str | None:
        return None

    @override
    @classmethod
    def opened(cls, destination: Destination) -> AbstractContextManager[Store]:
        from composer.tracking.mlflow_store import opened

        return opened(destination)

    @override
    def request(self) -> dict[str, Any]:
        return {"experiment": self.experiment, "system_metrics": self.system_metrics, "pictures": self.pictures}

    @property
    @override
    def wants_films(self) -> bool:
        return self.films

    @override
    def charts(self, interventions: Iterable[str], evaluation: Metric) -> tuple[Metric, ...]:
        """The headline; firings are counted; the machine is sampled by the clock on the wall."""
        shown = charted(interventions, evaluation)
        machine = Metric("system/*", "use of processor, memory, disk, network and GPU", condition="every 15 seconds")
        return (*shown, machine) if self.system_metrics else shown

    def destination(self, runs_dir: Path, environment: Mapping[str, str] = os.environ) -> Destination:
        """The blueprint's URI, else ``MLFLOW_TRACKING_URI``, else the embedded database; see ``default_root``."""
        if self.uri is not None:
            return located(self.uri, "blueprint", runs_dir)
        uri = environment.get(URI_VARIABLE)
        if not uri:
            return located(f"sqlite:///{quoted(default_root(runs_dir) / 'mlflow.db')}", "embedded", runs_dir)
        problem = uri_problem(uri, from_blueprint=False)
        if problem is not None:
            raise StoreRefused(f"{URI_VARIABLE}={redact(uri)}: {problem}")
        return located(uri, "environment", runs_dir)
