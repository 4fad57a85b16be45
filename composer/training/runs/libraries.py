"""Versions of the libraries that the numbers of a run depend on. Tests: tests/faults/test_fingerprint.py."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.machinery import all_suffixes
from pathlib import Path


def versions(modules: Iterable[str], distributions: Iterable[str] = ()) -> dict[str, str | None]:
    """The version of each distribution, and of those that installed ``modules``, by name.

    A module that no distribution installed, such as a file beside the blueprint, has the hash of its source instead of
    a version; an editable distribution, whose source may change under one version, has both.
    """
    found = {name: version(name) for name in distributions}
    for module in modules:
        owners = _owners(module)
        found |= {name: version(name) for name in owners} if owners else {module: _source(module)}
    return found


def version(distribution: str) -> str | None:
    """The version of an installed distribution; None where it is not installed."""
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    metadata = found.read_text
    origin = json.loads(metadata("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return found.version
    tops = (metadata("top_level.txt") or found.name.replace("-", "_")).split()
    return "+".join([found.version, *filter(None, map(_source, tops))])


def _owners(module: str) -> list[str]:
    """The distributions that installed a module; usually one, which has its name."""
    try:
        return [importlib.metadata.distribution(module).name]
    except importlib.metadata.PackageNotFoundError:
        # What is installed or removed changes its folder; importlib.metadata keeps what it found as long, too.
        folders = [entry or os.curdir for entry in sys.path]
        return _listing(module, tuple((each, os.stat(each).st_mtime_ns) for each in folders if os.path.exists(each)))


@cache
def _listing(module: str, folders: tuple[tuple[str, int], ...]) -> list[str]:
    """The distributions that list a module, while the ``folders`` of Python's path are of these times."""
    return sorted({found.name for found in importlib.metadata.distributions() if _installed(found, module)})


def _installed(distribution: importlib.metadata.Distribution, module: str) -> bool:
    """Whether a distribution declares a module or, where it declares none, lists a file of it.

    ``importlib.metadata.packages_distributions`` tells the same ten times slower: it makes a path of every file.
    """
    declared = (distribution.read_text("top_level.txt") or "").split()
    if declared:
        return module in declared
    record = distribution.read_text("RECORD")
    files = [str(file) for file in distribution.files or ()] if record is None else [record]
    ends = "|".join(map(re.escape, all_suffixes()))
    line = re.compile(rf'^"?{re.escape(module)}(?:/.*)?(?:{ends})(?:"?,|$)', re.MULTILINE)
    return any(module in text and line.search(text) for text in files)


def _source(module: str) -> str | None:
    """SHA-256 of the Python files of a module or package, shortened; None where it has no files."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    roots = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [file for root in roots for file in sorted(root.rglob("*.py"))]
    files = files or ([Path(spec.origin)] if spec.has_location and spec.origin else [])
    total = hashlib.sha256()
    for file in files:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return f"sha256:{total.hexdigest()[:16]}" if files else None
