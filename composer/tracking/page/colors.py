"""One colour per agent, in every chart: MLflow's own follow from ids, and two agents may look the same.

Tests: tests/tracking/page/test_arrange.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from zlib import crc32

PALETTE: Final = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#7A4EAB",
    "#1F272D",
)
"""Told apart also by people who are colour-blind: those of Okabe and Ito, and two darker ones."""


def color_of(agent: str, taken: Mapping[str, str]) -> str:
    """The colour that the agent has in ``taken``, else a free one; once all are taken they repeat.

    The first choice follows from the name, so that runs that start together differ.
    """
    if agent in taken:
        return taken[agent]
    first = crc32(agent.encode()) % len(PALETTE)
    ordered = [*PALETTE[first:], *PALETTE[:first]]
    return next((color for color in ordered if color not in taken.values()), ordered[0])
