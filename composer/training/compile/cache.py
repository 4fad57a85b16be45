"""Where compiled code is kept, so that the second start of the same program is warm. Free of torch.

Each program has one folder with everything that inductor wrote for it; it may be shipped to machines of the same kind.
Tests: tests/training/test_compile_ahead.py.
"""

from __future__ import annotations

import os
from pathlib import Path

CACHE = "COMPOSER_CACHE"
"""The environment variable with the folder of all programs; by default ``composer`` in the user's cache."""
_INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"
_chosen: str | None = None


def cache_directory(key: str) -> Path:
    """The folder of the compiled code of a program, by ``blueprint.forecast.program_key``; it may not exist yet."""
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(os.environ.get(CACHE) or Path(user) / "composer")
    return root / key


def use_cache(key: str) -> None:
    """Keep compiled code in ``cache_directory`` from now on, unless inductor's own variable names another folder."""
    global _chosen
    if os.environ.get(_INDUCTOR) in (None, _chosen):
        _chosen = os.environ[_INDUCTOR] = str(cache_directory(key))


def is_warm(key: str) -> bool:
    """Whether code of this program has been compiled here."""
    folder = cache_directory(key)
    return folder.is_dir() and any(folder.iterdir())
