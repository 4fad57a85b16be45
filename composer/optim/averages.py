"""Averages: slow copies of networks, or of other averages. Tests: tests/training/test_averages.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from composer.optim.schedules.bounded import Share
from composer.spec.family import Spec
from composer.spec.without import Without

ROLE = r"^[a-z][a-z0-9_]{0,63}$"
"""The name of a network, an average or a learned number."""


class Average(Spec):
    """A slow copy of a network, such as a target network: ``a = momentum * a + (1 - momentum) * w`` each update.

    Averages move in declared order: an average of an earlier average follows its new weights.
    """

    of: Annotated[str, Field(pattern=ROLE)]
    """The network, or another average, that is averaged."""
    momentum: Annotated[Share, Without(0)]
    """Share of the average that an update keeps, 0 to 1: a number, or a schedule over gradient updates."""


def averaged_networks(averages: Mapping[str, Average]) -> dict[str, str]:
    """By name of an average: the network that it averages, perhaps through other averages.

    Averages that follow from themselves are left out; ``circles`` finds them.
    """
    found = {name: _chain(name, averages)[-1] for name in averages}
    return {name: root for name, root in found.items() if root not in averages}


def circles(averages: Mapping[str, Average]) -> Iterator[tuple[str, list[str]]]:
    """Averages that follow from themselves: the name of each, and the names on the way back to it."""
    for name in averages:
        chain = _chain(name, averages)
        if chain[-1] == name:
            yield name, chain


def _chain(name: str, averages: Mapping[str, Average]) -> list[str]:
    """``name``, its source, the source of that and so on, to a network or to the first repeated name."""
    chain = [name]
    while chain[-1] in averages:
        following = averages[chain[-1]].of
        chain.append(following)
        if following in chain[:-1]:
            break
    return chain
