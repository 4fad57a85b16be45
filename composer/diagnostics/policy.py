"""The measure of policy churn.

Formula: composer/diagnostics/formulas/churn.py. Tests: tests/diagnostics/test_readings.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.diagnostics.base import Diagnostic, Memory, Readings
from composer.networks.outline import Outline
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    from composer.diagnostics.interface import View


SECOND = "from the second reading on"


class PolicyChurn(Diagnostic, kind="policy_churn"):
    """Change of the action without exploration on the probe's states since the last reading; also divided by updates.

    Discrete actions: the share of states whose action is another one. Continuous actions: the mean Euclidean distance.
    By the triangle inequality the quotient is a lower bound of the mean change an update, and close to it where a
    reading follows every update. The normalisation of observations is part of the policy. Source: Schaul et al.,
    arXiv:2206.00730.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "policy_churn"}
    meanings = (
        Metric("churn", "change of the actions since the last reading", "action", 0, condition=SECOND),
        Metric("churn_per_update", "the same divided by updates", "action per update", 0, condition=SECOND),
    )

    @override
    def names(self) -> tuple[str, ...]:
        return ("churn", "churn_per_update")

    @override
    def reports(self, networks: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"policy/{name}" for name in self.names())

    @override
    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        if self.roles:
            yield "roles", "the policy is what acts, not a network: leave 'roles' out"

    @override
    def read(self, view: View, memory: Memory) -> Readings:
        from composer.diagnostics.formulas.churn import churn

        found = Readings()
        if memory:  # From the second reading on.
            change = churn(memory["action"], view.act(memory["observation"]))
            made = (view.updates - memory["updates"]).clamp_min(1)
            found = dict(zip(self.reports(()), (change, change / made), strict=True))
        observation = view.observation
        action = view.act(observation)
        # Copies: saved tensors may share no memory.
        memory |= {"observation": observation.clone(), "action": action, "updates": view.updates.clone()}
        return found
