"""Alternating twins, declared. ``composer.training.surgery.twin`` performs it.

Tests: tests/interventions/test_alternate.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.interventions.base import Operation, Rewrite
from composer.networks.parameter_selectors import ParameterName

if TYPE_CHECKING:
    from composer.interventions.base import Case, OperationContext


class Alternate(Operation, kind="alternate"):
    """Exchange the agent with a twin, which has learned beside it from the same minibatches, and begin anew with that.

    From the start of the run a second agent, drawn on its own, makes each update that the first makes, on the same
    minibatch and with the same noise; only the first acts and is evaluated. At a firing the twin takes its place, and
    the one that acted becomes the twin with fresh networks, averages, learned numbers and optimizer state, so that a
    fresh network never acts. Statistics of observations and rewards, and the replay, are shared. An update costs twice
    as much. ``target = "own"`` draws averages on their own, as the authors' code does with target critics; "follow"
    begins with copies. Source: Maheshwari et al., arXiv:2512.01034, and its code (mansi99000/AltNet, sac.py, 037628e).
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "alternate"}
    needs_twin: ClassVar[bool] = True

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        return ()

    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        """It takes the whole agent, alone; networks keep their structure, and learn from a replay."""
        own = case.interventions[case.name]
        everything = {(role, path) for role, outline in case.outlines.items() for path, _ in outline.named_parameters()}
        if left := sorted(everything - set(case.parameters)):
            yield "", f"twins are whole agents: write where = ['*'], which takes {'.'.join(left[0])} too"
        if not case.learns_beside:
            message = "a twin learns from what another acts: this algorithm learns from data of its own policy"
            yield "", f"{message}, or from latents that the replay keeps of its own networks"
        if own.target == "keep" and case.averages:
            yield "", "averages begin anew with the networks: write target = 'own' (as published), or 'follow'"
        if own.moments != "keep" or own.schedules != "keep":
            yield "", "all optimizer state begins anew: leave 'moments' and 'schedules' out"
        for name, each in case.interventions.items():
            if each.do.changes_structure:
                yield "", f"{name!r} changes what a network is, and twins have equal networks"
            elif name < case.name and each.do.needs_twin:
                yield "", f"{name!r} alternates the agent already: let its trigger repeat it instead"
