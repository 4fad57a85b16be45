"""Short names of agents for figures: without what all of them share, and keys without what is clear without it.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_SETTING = re.compile(r"([\w.\[\]]+)=([^,()#]*)")
_INTERVENTION = re.compile(r"interventions\.(\w+)\.")


def short_names(agents: Sequence[str]) -> dict[str, str]:
    """The short name of each agent: the long ones where the short ones do not tell them apart.

    ``a (x.width=1, y.rate=2)`` and ``a (x.width=3, y.rate=2)`` become ``width=1, rate=2`` and ``width=3, rate=2``; the
    keys of an intervention become ``reset`` where an agent has it and ``no reset`` where it has not.
    """
    parts = _without_variants([_split(agent) for agent in agents])
    is_shared = len({name for name, _ in parts}) == 1 and all(settings for _, settings in parts)
    keys = {key for _, settings in parts for key, _ in settings}
    short = [
        " ".join(filter(None, ("" if is_shared else name, _settings(settings, keys, in_brackets=not is_shared))))
        for name, settings in parts
    ]
    return dict(zip(agents, short if len(set(short)) == len(set(agents)) else agents, strict=True))


def _split(agent: str) -> tuple[str, list[tuple[str, str]]]:
    """The name, and the settings in brackets after it; a name that ends otherwise is taken as a whole."""
    name, _, inside = agent.partition(" (")
    if not inside.endswith(")") or "(" in inside or "=" not in inside:
        return agent, []
    return name, [(key, value.strip()) for key, value in _SETTING.findall(inside)]


def _without_variants(
    parts: Sequence[tuple[str, list[tuple[str, str]]]],
) -> Sequence[tuple[str, list[tuple[str, str]]]]:
    """The parts without the axis ``variant`` of a study whose agents are named by their variants too."""
    own = [("variant", name.partition(":")[2] or "base") for name, _ in parts]
    if not any(":" in name for name, _ in parts) or any(
        each not in settings for each, (_, settings) in zip(own, parts, strict=True)
    ):
        return parts
    return [(name, [each for each in settings if each[0] != "variant"]) for name, settings in parts]


def _settings(settings: Sequence[tuple[str, str]], keys: set[str], in_brackets: bool) -> str:
    found: dict[str, None] = {}
    for key, value in settings:
        intervention = _INTERVENTION.match(key)
        if intervention is not None and _is_whole(intervention[0], settings):
            is_absent = all(other == "absent" for name, other in settings if name.startswith(intervention[0]))
            found[f"no {intervention[1]}" if is_absent else intervention[1]] = None
        else:
            found[f"{_suffix(key, keys)}={value}"] = None
    text = ", ".join(found)
    return f"({text})" if text and in_brackets else text


def _is_whole(prefix: str, settings: Sequence[tuple[str, str]]) -> bool:
    """Whether agents differ in an intervention as a whole, of which they then show several keys."""
    return sum(key.startswith(prefix) for key, _ in settings) > 1


def _suffix(key: str, keys: set[str]) -> str:
    """The last parts of a key that no other key has; without the index of the only entry of a list."""
    parts = key.split(".")
    for count in range(1, len(parts)):
        suffix = ".".join(parts[-count:])
        if not any(other != key and (other == suffix or other.endswith(f".{suffix}")) for other in keys):
            return suffix if f"{key.removesuffix('[0]')}[1]" in keys else suffix.removesuffix("[0]")
    return key
