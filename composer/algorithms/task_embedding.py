"""Embeddings of tasks that actor and critics read beside the observation. The spec.

They are computed in ``losses/features.py``. Tests: tests/papers/test_task_embedding.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from composer.algorithms.declared import AverageRole, Evaluated, InputFrom, Passes, Role
from composer.algorithms.encoders import Losses, SharedEncoder
from composer.environments.interface import EnvironmentInfo

if TYPE_CHECKING:
    from composer.algorithms.losses.features import Features
    from composer.algorithms.program import BuiltAgent
    from composer.networks.outline import Outline

OPTION = "task_embedding"
NETWORK, TARGET = OPTION, f"target_{OPTION}"


class TaskEmbedding(SharedEncoder):
    """A vector for each of several tasks, which the network ``task_embedding`` makes of the entries that name the task.

    It takes the place of these entries in the inputs of the actor and of all critics. The critics' loss alone trains
    it; targets have it from the average ``target_task_embedding``, the actor's next actions from the network itself.
    Needs an environment of several tasks, such as ``multitask``. Source: BRC, arXiv:2505.23150, and its released code.
    """

    option = OPTION
    words = "with an embedding of tasks"
    networks = (NETWORK,)

    @override
    def roles(self, info: EnvironmentInfo, action: str) -> tuple[Role, ...]:
        tasks, size = info.tasks, info.observation[0] - info.tasks

        def joined(further: int) -> InputFrom:
            def shape(outlines: Any) -> tuple[int, ...]:
                found: Outline = outlines[NETWORK]
                return (size + found.output[0] + further,)

            return InputFrom((NETWORK,), shape)

        parts = (("observation", (size,)), ("task_embedding", None))
        return (
            Role(NETWORK, (tasks,), "features", option=OPTION, concatenates=(("task", (tasks,)),)),
            Role("actor", joined(0), action, concatenates=parts),
            Role(
                "critic", joined(info.action_size), "value", has_one_copy=False,
                concatenates=(*parts, ("action", (info.action_size,))),
            ),
        )  # fmt: skip

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        return (AverageRole(TARGET, of=NETWORK),)

    @override
    def evaluations(self, losses: Losses) -> Losses:
        own, target = Evaluated(NETWORK, Passes.FORWARD), Evaluated(TARGET, Passes.FORWARD)
        return {
            "actor": (own, *losses["actor"]),
            "target": (own, target, *losses["target"]),
            "critic": (Evaluated(NETWORK, Passes.TRAIN), *losses["critic"]),
        }

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo) -> Features:
        from composer.algorithms.losses.features import TaskFeatures

        return TaskFeatures(built.networks[NETWORK], built.averages[TARGET], info.tasks)


def task_problems(info: EnvironmentInfo, embedding: TaskEmbedding | None) -> Iterator[tuple[str, str]]:
    """Why an environment has no tasks to embed."""
    if embedding is not None and not info.tasks:
        yield (
            "algorithm.task_embedding",
            'this environment has one task: use environment.kind = "multitask", or remove it',
        )
