"""An algorithm: deterministic policy gradients whose targets stay within what targets have been."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.algorithms.ddpg_td3 import DeterministicPolicyGradient
from composer.algorithms.declared import StateTensor
from composer.environments.interface import EnvironmentInfo

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters


class BoundedTargets(DeterministicPolicyGradient, kind="acme/bounded_targets"):
    """Values of next states are clipped to the range of all earlier targets, as in TD7 (arXiv:2306.02451, Eq. 20)."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "acme/bounded_targets", "target_actor": False}

    @override
    def state_tensors(self, info: EnvironmentInfo) -> Mapping[str, StateTensor]:
        return {"lowest": StateTensor(), "highest": StateTensor(), "seen": StateTensor(dtype="int64")}

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer_acme.bounded_losses import BoundedProgram

        return BoundedProgram(built, self.settings(info, hyperparameters))
