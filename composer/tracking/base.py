"""Trackers: where a run's metrics are shown while it trains. Every command imports this: no torch, no mlflow."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from typing_extensions import override

from composer.spec.errors import ComposerError
from composer.spec.family import Family
from composer.spec.metrics import Metric
from composer.spec.private_folder import link_to

if TYPE_CHECKING:
    from composer.spec.interval import Bounds
    from composer.tracking.journal_points import Pointing
    from composer.tracking.store import Store

URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"
EXPERIMENT: Final = r"^/?[A-Za-z0-9][A-Za-z0-9@._ /-]{0,199}$"
EXPERIMENT_RULE: Final = "use letters, digits and '@._ /-', 1 to 200 characters, the first a letter or a digit (or '/')"
SCHEMES: Final = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks")
Source = Literal["blueprint", "environment", "embedded"]
UNSAFE: Final = re.compile(r"[%?\ud800-\udfff]")
"""Characters of a path that MLflow cannot take in a URI of SQLite."""
SECRET_WORDS: Final = re.compile(r"(?i)pass|token|secret|key|sig|pwd|cred|auth|user")
"""Words in the names of variables that hold credentials."""
HOST: Final = re.compile(r"([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])?(:\d{1,5})?")
SECRET_KEYS: Final = re.compile(r"(?i)(^|[?&;])([^=&;]*(?:pass|token|secret|key|sig|pwd)[^=&;]*)=[^&;#]*")


class StoreRefused(ComposerError, ValueError):
    """A tracking store cannot be used, or is not known; the message shows no credentials."""

    exit_code = 2


@dataclass(frozen=True)
class Destination:
    """A tracking store: its URI, the source of that, and the folder of artifacts (None where a server keeps them)."""

    uri: str
    source: Source
    artifacts: Path | None = None
    folder: Path | None = None
    """The folder of a store that is files, whose URI ends in its absolute path."""

    @property
    def shown(self) -> str:
        """The URI for printing and for files: credentials are ``***``."""
        return self.uri if self.folder is not None else redact(self.uri)

    @property
    def database(self) -> Path | None:
        """The file of a SQLite store; None of others."""
        return sqlite_path(self.uri)

    @property
    def client_uri(self) -> str:
        """The URI for MLflow, which takes no ``%`` and ``?`` in a path: a link goes around them."""
        database = self.database
        if database is None or not UNSAFE.search(str(database.parent)):
            return self.uri
        plain = link_to(database.parent) / database.name
        return f"{self.uri.partition(':///')[0]}:///{plain}{''.join(self.uri.partition('?')[1:])}"


class Tracker(Family, family="tracker"):
    """Where a run's metrics go besides the journal, which every run has.

    A kind names the ``destination`` of runs, and opens it for the process that uploads one of them.
    """

    product: ClassVar[str] = ""
    """What holds the rows, in messages: ``MLflow``."""
    place: ClassVar[str] = "uri"
    """The key that says where the store is."""

    @cached_property
    def allowed(self) -> list[Path]:
        """Folders beside the project in which the store may be. They do not count when trackers are compared."""
        return []

    @property
    def folder(self) -> Path | None:
        """Where the store may be beside the project: the folder of its blueprint, or the root if the user named it."""
        return self.allowed[-1] if self.allowed else None

    def allow(self, folder: Path) -> None:
        """Let the store be made below ``folder`` too."""
        self.allowed.append(folder)

    @abstractmethod
    def destination(self, runs_dir: Path, environment: Mapping[str, str] = os.environ) -> Destination | None:
        """The store of runs in ``runs_dir``; None for no store. Raises StoreRefused."""

    @classmethod
    def recorded(cls, uri: str, source: Source, runs_dir: Path, run_dir: Path) -> Destination:
        """The store that ``tracking.json`` of a run names, where relative places are below the run's directory.

        ``opened`` is called with it, in another process: everything that it has to know must be in the URI. Raises
        StoreRefused.
        """
        return Destination(uri, source)

    @classmethod
    def points(cls, seeds: Sequence[int], ranges: Mapping[str, Bounds], metric: str) -> Pointing:
        """What makes points of the rows of a journal: by default those of MLflow's charts, with means over seeds.

        ``ranges`` are the lowest and the highest value of metrics by name; ``metric`` is that of the evaluations.
        """
        from composer.tracking.points import Points

        return Points(seeds, ranges, metric)

    @classmethod
    def opening(cls, destination: Destination) -> str | None:
        """How the runs of a store are looked at, as a line for people; None where ``composer ui`` shows them."""
        return f"{cls.product or cls.kind}: {destination.shown}"

    @classmethod
    def opened(cls, destination: Destination) -> AbstractContextManager[Store]:
        """The store of a destination, made where it is absent. The uploader calls it, and may wait or fail."""
        raise NotImplementedError(f"{cls.kind} has no store")

    def request(self) -> dict[str, Any]:
        """What the uploader has to know besides the destination, by the names of ``Tracking``.

        Without an ``experiment`` the runs go to that of their project or study.
        """
        return {"experiment": "", "system_metrics": False}

    @property
    def wants_films(self) -> bool:
        """Whether a run is filmed at its end."""
        return False

    def charts(self, interventions: Iterable[str], evaluation: Metric) -> tuple[Metric, ...]:
        """What it shows besides the metrics of the journal, for interventions of these names and this evaluation."""
        return ()


class NoTracker(Tracker, kind="none"):
    """No tracking store: the journal alone."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "none"}

    @override
    def destination(self, runs_dir: Path, environment: Mapping[str, str] = os.environ) -> Destination | None:
        return None


def default_root(runs_dir: Path) -> Path:
    """Folder of the embedded store: ``mlflow/`` next to the runs directory."""
    return runs_dir.absolute().parent / "mlflow"


def located(uri: str, source: Source, runs_dir: Path, folder: Path | None = None) -> Destination:
    """A store with absolute paths, for processes that run elsewhere; a database's artifacts are next to it.

    The path of a database is relative to ``folder``, by default the working folder.
    """
    path = sqlite_path(uri)
    if path is not None:
        absolute, query = Path(os.path.normpath((folder or Path.cwd()) / path)), "".join(uri.partition("?")[1:])
        whole = f"{uri.partition(':///')[0]}:///{quoted(absolute)}{query}"
        return Destination(whole, source, absolute.parent / "artifacts")
    served = uri.partition(":")[0] in ("http", "https", "databricks")
    return Destination(uri, source, None if served else default_root(runs_dir) / "artifacts")


def uri_problem(uri: str, *, from_blueprint: bool) -> str | None:
    """What is wrong with a tracking URI, without repeating its secrets; None where nothing is."""
    try:
        urlsplit(uri)
    except ValueError as error:
        return f"no URI: {error}"
    scheme = uri.partition(":")[0].partition("+")[0].lower() if ":" in uri else uri
    if scheme == "file" or (scheme not in SCHEMES and "://" not in uri):
        return "MLflow no longer writes to folders; use a database: sqlite:///PATH/mlflow.db"
    if scheme not in SCHEMES:
        return f"no tracking store is reached by {scheme!r}; use sqlite:///PATH, http(s)://HOST or a database's URI"
    if scheme == "sqlite" and not sqlite_path(uri):
        return "a database in memory is lost at once; use a file: sqlite:///PATH/mlflow.db"
    if scheme == "sqlite" and UNSAFE.search(sqlite_path(uri).name):  # type: ignore[union-attr]
        return "the name of a database file may not contain '%' or '?'"
    # Parsers disagree on other characters: what one takes for the host is a part of it to another.
    host = urlsplit(uri).netloc.rpartition("@")[2]
    if scheme in ("http", "https") and (not HOST.fullmatch(host) or re.search(r"[\\\s\x00-\x1f]", uri)):
        return "no URI: a host has letters, digits, '.', '_' and '-', and there is no space or backslash"
    if from_blueprint and redact(uri) != uri:
        return f"credentials are accepted from the environment only: set {URI_VARIABLE}, or MLFLOW_TRACKING_PASSWORD"
    return None


def sqlite_path(uri: str) -> Path | None:
    """File of a SQLite URI, relative where the URI is; None for other stores and for databases in memory."""
    body = uri.partition(":///")[2].partition("?")[0]
    if uri.partition(":")[0].partition("+")[0].lower() != "sqlite" or not body or body == ":memory:":
        return None
    return Path(unquote(body, errors="surrogateescape"))


def quoted(path: Path) -> str:
    """A path as it is written in a URI of SQLite."""
    return str(path).replace("%", "%25").replace("?", "%3F")


def redact(uri: str) -> str:
    """The URI with its password, its web user and the secrets of its query as ``***``; ``***`` for what is no URI."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "***"
    user, at, host = parts.netloc.rpartition("@")
    if not at and not parts.query:
        return uri
    if at:
        # For a database a user name alone is harmless; for a web server it may be a token.
        hidden = f"{user.partition(':')[0]}:***" if ":" in user else user
        host = f"{'***' if parts.scheme in ('http', 'https') else hidden}@{host}"
    query = SECRET_KEYS.sub(r"\1\2=***", parts.query)
    return urlunsplit((parts.scheme, host, parts.path, query, parts.fragment))
