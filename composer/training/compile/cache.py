"""Where compiled code is kept, so that the second start of the same program is warm. Free of torch.

One folder a program, which holds all that inductor wrote for it: it may be shipped to machines of the same kind.
Tests: tests/training/test_compile_ahead.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from composer.blueprint.forecast.program_key import program_key

if TYPE_CHECKING:
    from composer.blueprint import Blueprint

CACHE = "COMPOSER_CACHE"
"""The variable that names the folder of all programs; else it is ``composer`` in the user's cache."""
_INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"
_chosen: str | None = None


def cache_directory(blueprint: Blueprint, device: str) -> Path:
    """Where the compiled code of a blueprint's update lies, or will: one folder a program, which may be shipped."""
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(os.environ.get(CACHE) or Path(user) / "composer")
    return root / program_key(blueprint, device)


def use_cache(blueprint: Blueprint, device: str) -> None:
    """Keep compiled code under ``cache_directory`` from now on, unless inductor's own variable says otherwise."""
    global _chosen
    if os.environ.get(_INDUCTOR) in (None, _chosen):
        _chosen = os.environ[_INDUCTOR] = str(cache_directory(blueprint, device))


def is_warm(blueprint: Blueprint, device: str) -> bool:
    """Whether something has been compiled for this program here."""
    folder = cache_directory(blueprint, device)
    return folder.is_dir() and any(folder.iterdir())
