"""Packages of environments that are not installed with composer: what to install, and how a blueprint names them.

Messages alone read it. Tests: tests/errors/test_newcomers.py.
"""

from __future__ import annotations

from typing import NamedTuple

from composer.spec.wording import quote


class Package(NamedTuple):
    """A package of environments."""

    install: str
    """The command that installs it."""
    module: str = ""
    """The module that registers its ids with Gymnasium; empty where it has an interface of its own."""
    id: str = ""
    """One of its ids, or how they begin."""
    kwargs: str = ""
    """Keyword arguments that the id needs, as TOML."""

    kind: str = ""
    """The kind that composer has for it."""

    def advice(self) -> str:
        """What to do to use it."""
        if self.kind:
            return f"{self.install}, then write environment = {{ kind = {quote(self.kind)} }}"
        if not self.module:
            adapter = "its interface is not Gymnasium's: register an adapter (docs/guide/add-an-environment.md)"
            return f"{self.install}; {adapter}"
        kwargs = f", kwargs = {self.kwargs}" if self.kwargs else ""
        declared = f'{{ kind = "gymnasium", module = {quote(self.module)}, id = {quote(self.id)}{kwargs} }}'
        return f"{self.install}, then write environment = {declared}"


PACKAGES = {
    "metaworld": Package("pip install metaworld", "metaworld", "Meta-World/MT1", '{ env_name = "reach-v3" }'),
    "myosuite": Package('pip install "rl-composer[myo]" -c constraints-myo.txt', kind="myosuite"),
    "humanoid_bench": Package(
        "pip install git+https://github.com/carlosferrazza/humanoid-bench", kind="humanoid_bench"
    ),
    "ogbench": Package('pip install "rl-composer[ogbench]"', kind="ogbench"),
    "minigrid": Package("pip install minigrid", "minigrid", "MiniGrid-Empty-5x5-v0"),
    "gymnasium_robotics": Package("pip install gymnasium-robotics", "gymnasium_robotics", "FetchReach-v4"),
    "highway_env": Package("pip install highway-env", "highway_env", "highway-v0"),
    "craftax": Package('pip install "rl-composer[craftax]"', kind="craftax"),
    "crafter": Package("pip install crafter"),
    "procgen": Package("pip install procgen"),
    "envpool": Package("pip install envpool"),
    "brax": Package("pip install brax"),
    "mujoco_playground": Package('pip install "rl-composer[playground]"', kind="playground"),
    "robosuite": Package("pip install robosuite"),
}
"""By name in snake case."""
_BEGINNINGS = {
    "meta-world": "metaworld", "minigrid-": "minigrid", "myo": "myosuite", "h1": "humanoid_bench",
    "highway-": "highway_env", "procgen": "procgen", "craftax": "craftax",
    **dict.fromkeys(("fetch", "antmaze", "pointmaze", "adroit", "handmanipulate"), "gymnasium_robotics"),
}  # fmt: skip
"""Beginnings of ids, in small letters."""


def package(name: str) -> Package | None:
    """The package of this name; None where it is not known."""
    return PACKAGES.get(name.casefold().replace("-", "_"))


def package_of_id(name: str) -> Package | None:
    """The package that probably registers an id."""
    found = next((each for begins, each in _BEGINNINGS.items() if name.casefold().startswith(begins)), None)
    return PACKAGES[found] if found else None
