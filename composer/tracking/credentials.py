"""Whom the user's credentials are sent to: the server that the environment names, and nobody else.

A blueprint, or a run directory, may name any server. The process that uploads to another one than
``MLFLOW_TRACKING_URI`` names starts with an environment that has no credentials, and without a home in which MLflow,
``requests`` and database drivers look for more. Tests: tests/tracking/test_credentials.py.
"""

from __future__ import annotations

import os
import re
import site
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from composer.spec.errors import ComposerError
from composer.tracking.base import SECRET_WORDS, URI_VARIABLE, Destination
from composer.tracking.server_errors import sentence

KEPT: Final = re.compile(
    r"PATH|PYTHON\w*|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|LD_LIBRARY_PATH|VIRTUAL_ENV|CONDA_PREFIX"
    r"|(?i:(https?|no|all)_proxy)|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|COVERAGE\w*|(OMP|MKL|OPENBLAS)_NUM_THREADS"
    r"|CUDA_VISIBLE_DEVICES|COMPOSER_CACHE"
)
"""Variables that a process without credentials gets."""
FILES: Final = (".mlflow/credentials", ".netrc", "_netrc", ".databrickscfg", ".pgpass", ".my.cnf", ".aws/credentials")
"""Files in the user's home with credentials."""
PORTS: Final = {"http": 80, "https": 443}
ERROR_LIMIT: Final = 300


def is_trusted(destination: Destination, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether credentials may be used: for a store in files, and on the host that ``MLFLOW_TRACKING_URI`` names."""
    named = environment.get(URI_VARIABLE)
    is_local = destination.database is not None or destination.folder is not None
    return is_local or (bool(named) and _host(str(named)) == _host(destination.uri))


def upload_environment(destination: Destination, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a process that uploads to this store."""
    if is_trusted(destination, environment):
        return dict(environment)
    kept = {name: value for name, value in environment.items() if KEPT.fullmatch(name)}
    # Packages that the user installed stay visible; files in the home do not.
    base = {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}
    return base | kept | {"HOME": os.devnull, "NETRC": os.devnull, "PGPASSFILE": os.devnull}


def withheld_note(destination: Destination, environment: Mapping[str, str] = os.environ) -> str | None:
    """A sentence on the credentials that are not sent; None where there are none, or they may be used."""
    if is_trusted(destination, environment):
        return None
    found = [name for name in environment if not KEPT.fullmatch(name) and SECRET_WORDS.search(name)]
    home = environment.get("HOME")
    found += [f"~/{name}" for name in FILES if home and (Path(home) / name).is_file()]
    if not found:
        return None
    shown = ", ".join(sorted(found)[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
    return f"{shown} not sent to {destination.shown}: credentials go only to the host that {URI_VARIABLE} names"


def plain_error(error: Exception, destination: Destination, experiment: str | None = None) -> str:
    """An error of this store in a line, with ``***`` for credentials: a sentence with the cure where it is a known one.

    ``experiment`` is that of the run.
    """
    if known := sentence(error, destination, os.environ, experiment):
        return known
    text = str(error).replace(destination.uri, destination.shown)
    text = re.sub(r"//[^/@\s]+@", "//***@", text).strip().split("\n", 1)[0][:ERROR_LIMIT]
    return text if isinstance(error, ComposerError) else f"{type(error).__name__}: {text}"


def _host(uri: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a URI."""
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    try:
        port = parts.port or PORTS.get(scheme)
    except ValueError:
        return scheme, None, None
    return scheme, parts.hostname or parts.path, port
