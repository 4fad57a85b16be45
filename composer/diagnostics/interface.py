"""The view of an agent that measures read. ``composer.training.diagnose.view.LearnerView`` implements it for a learner.

Legend: S seeds, C copies, B batch, U units of a layer, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from composer.networks.outline import Outline

if TYPE_CHECKING:
    from torch import Tensor

    from composer.networks.stacked import Stacked


class View(Protocol):
    """An agent at one moment, on the probe batch. A measure changes nothing of it."""

    @property
    def networks(self) -> Mapping[str, Stacked]:
        """Networks by role, always in evaluation mode."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the run."""

    @property
    def updates(self) -> Tensor:
        """Gradient updates so far, float64 ``[S]``."""

    @property
    def samples(self) -> int:
        """Transitions of one seed in the probe batch, B."""

    @property
    def observation(self) -> Tensor:
        """Raw observations of the probe batch, ``[S, B, ...]``."""

    def act(self, observation: Tensor) -> Tensor:
        """Actions without exploration ``[S, B, ...]`` for raw observations ``[S, B, ...]``."""

    def input(self, role: str) -> Tensor:
        """What a network reads on the probe batch, ``[S, B, ...]``."""

    def outline(self, role: str) -> Outline:
        """One copy of a network with what interventions have added to it."""

    def first_outline(self, role: str) -> Outline:
        """One copy of a network as it was declared."""

    def parameters(self, role: str) -> dict[str, Tensor]:
        """Trainable parameters by path, ``[S, C, ...]``."""

    def initial(self, role: str) -> dict[str, Tensor]:
        """The first values of trainable parameters by path; none for what interventions have added."""

    def network(self, role: str) -> Stacked:
        """The network itself, for a measure that trains a copy: a forward pass in training mode would change it."""

    def first(self, role: str) -> Stacked:
        """A network with its first weights, drawn again."""

    def features(self, role: str, following: bool = False) -> Tensor:
        """What enters the network's head, flattened, ``[S, C, B, F]``; ``following`` at the next inputs."""

    def units(self, role: str) -> dict[str, Tensor]:
        """By path of each activation module: ``unit_statistics.summary`` of its units, ``[S, C, 3, U]``."""

    def loss(self, role: str, sample: int | None = None) -> Tensor:
        """The loss of a network's own objective, ``[S]``: on the whole batch, or on one sample of it."""

    def gradients(self, role: str) -> dict[str, Tensor]:
        """Gradients of the loss on the whole batch by path, ``[S, C, ...]``."""

    def hessian(self, role: str) -> Callable[[list[Tensor]], list[Tensor]]:
        """The product of each seed's Hessian of the loss with tensors like the parameters."""

    def direction(self, role: str) -> list[Tensor]:
        """Random tensors like the parameters, of each seed its own, the same at each moment."""

    def twice_differentiable(self) -> AbstractContextManager[None]:
        """Losses inside have second derivatives."""
