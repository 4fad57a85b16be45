"""Where a published data set comes from: what to fetch by hand, where to unpack it, how to check it.

Nothing here reaches the network. Tests: tests/studies/test_data_sets.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Published(NamedTuple):
    """One published data set of a kind."""

    title: str
    folder: str
    """The folder that its archive unpacks to, which the kind reads."""
    url: str
    size: int
    """Bytes of the archive."""
    md5: str
    """Of the archive."""
    keys: Mapping[str, Any] = MappingProxyType({})
    """What a blueprint says beside ``folder``."""

    @property
    def archive(self) -> str:
        """File name of the archive."""
        return self.url.rpartition("/")[2]

    def unpack(self, where: str) -> str:
        """The command that unpacks the archive in ``where``."""
        if self.archive.endswith(".zip"):
            return f"unzip -q {where}/{self.archive} -d {where}"
        return f"tar -xzf {where}/{self.archive} -C {where}"
