"""Shifted colours. Tests: tests/environments/test_distractions.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.environments.distractions.base import Changing, Distraction, Intensity
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    from composer.environments.distractions.base import Mask, Picture


class Colors(Distraction, kind="colors"):
    """Other colours: each channel times a gain from ``1 - intensity`` to ``1 + intensity``, plus an offset.

    The offset is up to ``intensity / 4`` of white, either way; both are uniform. In the spirit of the colour
    distractions of Stone et al., arXiv:2101.02722, which change the colours of bodies in the simulator; here pictures
    are changed, so that every suite has them.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "colors", "intensity": 0.3}

    intensity: Intensity = 0.3
    """How far gains and offsets go."""

    @override
    def build(self) -> Changing:
        return _Colors(self.intensity, self.changes == "decision")


class _Colors(Changing):
    def __init__(self, intensity: float, moves: bool) -> None:
        self._intensity, self._moves, self._seed = intensity, moves, 0

    @override
    def begin(self, seed: int) -> None:
        self._seed = seed

    @override
    def change(self, picture: Picture, background: Callable[[], Mask], decision: int) -> Picture:
        import numpy as np

        random = np.random.default_rng(derive(self._seed, decision if self._moves else 0))
        gain, offset = 1 + self._intensity * random.uniform(-1, 1, 3), random.uniform(-64, 64, 3) * self._intensity
        changed: Picture = (picture * gain + offset).round().clip(0, 255).astype(np.uint8)
        return changed
