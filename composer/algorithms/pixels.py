"""Learning from pixels: the encoder that actor and critics share, and random views of pictures. The spec.

The features are computed in ``losses/features.py``. Tests: tests/papers/test_pixels.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from typing_extensions import override

from composer.algorithms.augmentation import Augmentation
from composer.algorithms.base import AgentDeclaration, vectors_needed
from composer.algorithms.declared import AverageRole, Evaluated, InputFrom, Passes, Role
from composer.algorithms.encoders import Losses, SharedEncoder
from composer.algorithms.start import Start
from composer.algorithms.task_embedding import TaskEmbedding
from composer.environments.interface import EnvironmentInfo
from composer.spec.family import Items
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.losses.features import Features
    from composer.algorithms.program import BuiltAgent

Views = Annotated[int, Field(ge=1, le=16), Without(1)]
ROLES = ("encoder", "projection")
"""The networks between pictures and what critics read; the critics' loss trains them."""
OPTION = "pixels"


class Pixels(SharedEncoder):
    """An encoder between pictures and the networks that act and evaluate, trained by the critics' loss.

    ``encoder`` turns pictures into features, which the actor reads without gradients. ``projection`` turns features
    into the few numbers that all critics read beside the action; targets have them from the average
    ``target_projection``, over the encoder itself as in DrQ-v2 (arXiv:2107.09645) or, where it is declared, over the
    average ``target_encoder`` as in DrQ (arXiv:2004.13649). Sources: both papers and their released code.
    """

    option = OPTION
    words = "from pixels"
    networks = ROLES

    augmentation: Annotated[Items[Augmentation], Field(max_length=8), Without(())] = ()
    """Augmentations of pictures in the losses, in this order, drawn anew for every view."""
    target_views: Views = 1
    """Augmented views of a next observation, over which its target is averaged: K of DrQ, 2 there."""
    critic_views: Views = 1
    """Augmented views of an observation, over which the critics' loss is summed: M of DrQ, 2 there. The actor's loss
    reads the first one."""
    reuse_features: Annotated[bool, Without(False)] = False
    """Whether the actor's loss reads the features that the critics' loss has computed, from before the encoder's step,
    as in DrQ-v2's code; DrQ's computes them anew. Needs ``first = "critic"``."""

    @override
    def roles(self, info: EnvironmentInfo, action: str) -> tuple[Role, ...]:
        """Encoder, projection, the actor, whose head gives ``action``, and the critics."""
        features = InputFrom(("encoder",), lambda outlines: outlines["encoder"].output)
        size = info.action_size
        joined = InputFrom(("projection",), lambda outlines: (outlines["projection"].output[0] + size,))
        parts = (("projection", None), ("action", (size,)))
        return (
            Role("encoder", info.observation, "features", option=OPTION),
            Role("projection", features, "features", option=OPTION, concatenates=(("features", None),)),
            Role("actor", features, action, concatenates=(("features", None),)),
            Role("critic", joined, "value", has_one_copy=False, concatenates=parts),
        )

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        """Beside the target critic."""
        encoder = AverageRole("target_encoder", of="encoder", is_optional=True)
        return AverageRole("target_projection", of="projection"), encoder

    @override
    def evaluations(self, losses: Losses) -> Losses:
        """Those of ``actor``, ``target`` and ``critic``, with the networks that their inputs come from."""
        now, following = self.critic_views, self.target_views
        anew = () if self.reuse_features else (Evaluated("encoder", Passes.FORWARD),)
        read = (Evaluated(name, Passes.FORWARD) for name in ("encoder", "target_encoder", "target_projection"))
        trained = (Evaluated(name, Passes.TRAIN) for name in ROLES)
        return {
            "actor": (*anew, Evaluated("projection", Passes.FORWARD), *losses["actor"]),
            "target": tuple(each._replace(batches=following) for each in (*read, *losses["target"])),
            "critic": tuple(each._replace(batches=now) for each in (*trained, *losses["critic"])),
        }

    @override
    def problems(self, agent: AgentDeclaration, first: str) -> Iterator[tuple[str, str]]:
        """Settings that do not fit each other; ``first`` is the loss that steps first."""
        if self.reuse_features and first != "critic":
            yield "algorithm.pixels.reuse_features", "the actor steps first: no features are computed before its loss"
        yield from super().problems(agent, first)

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo) -> Features:
        """What actor and critics read, over built networks."""
        from composer.algorithms.losses.augmentation import AugmentationChain
        from composer.algorithms.losses.features import PixelFeatures

        augment = AugmentationChain([(each.draws(), each.build()) for each in self.augmentation])
        return PixelFeatures(built, augment, self.target_views, self.critic_views, reuses=self.reuse_features)


def dormant(*encoders: SharedEncoder | None) -> Mapping[str, str]:
    """Networks that the options which are not declared would need: of ``pixels``, perhaps of ``task_embedding``."""
    kinds: tuple[type[SharedEncoder], ...] = (Pixels, TaskEmbedding)
    missing = [kind for kind, encoder in zip(kinds, encoders, strict=False) if encoder is None]
    return {name: kind.option for kind in missing for name in kind.networks}


def start_from_pixels(settings: Mapping[str, Any], source: str, rate: float, momentum: object) -> Start:
    """The first settings of an actor-critic from pixels, with DrQ's encoder and projections."""
    projection = {"use": "drq_projection", "width": 50}
    pixels = {"augmentation": [{"kind": "random_shift", "pad": 4}]}
    adam = {"kind": "adam", "learning_rate": rate}
    return Start(
        {**settings, "first": "critic", "pixels": pixels},
        source,
        dict.fromkeys(("encoder", "projection", "actor", "critic"), adam),
        momentum,
        copies={"critic": 2},
        trunks={"encoder": {"use": "drq_convolutions"}, "projection": projection},
        before={"actor": projection},
        replay={"capacity": 100_000},
    )


def observation_problems(title: str, info: EnvironmentInfo, pixels: Pixels | None) -> Iterator[tuple[str, str]]:
    """Why an actor-critic over numbers cannot act in an environment: choices, or pictures without an encoder."""
    if info.discrete or not (info.pictures or pixels):
        yield from vectors_needed(title, info)
    elif pixels is None:
        yield "environment", f"{title} sees pictures through an encoder: add algorithm.pixels = {{}}"
    elif not info.pictures:
        shape = list(info.observation)
        yield "algorithm.pixels", f"observations here are numbers {shape}, not pictures: remove it"
