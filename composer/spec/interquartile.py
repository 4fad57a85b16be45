"""The interquartile mean of scores, as rliable defines it (Agarwal et al., arXiv:2108.13264)."""

from __future__ import annotations

from typing import Final

import numpy as np

from composer.spec.interval import Floats

TRIM: Final = 0.25
"""Share of scores that the interquartile mean leaves out at either end."""


def iqm(scores: Floats) -> Floats:
    """Mean over the last axis without the ``floor(n / 4)`` lowest and as many highest, as scipy's ``trim_mean``."""
    n = scores.shape[-1]
    cut = int(TRIM * n)
    middle: Floats = np.partition(scores, (cut, n - cut - 1), axis=-1)[..., cut : n - cut].mean(-1)
    return middle
