"""Growth of a network, declared: what its operations have in common. ``composer.training.surgery.growth`` performs it.

Tests: tests/interventions/test_growth.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from composer.interventions.base import Operation, Rewrite
from composer.networks.parameter_selectors import ParameterName

if TYPE_CHECKING:
    from composer.interventions.base import Case, OperationContext
    from composer.networks.blocks import Block


class Grow(Operation, abstract=True):
    """A change of the shape of one network."""

    reshapes: ClassVar[bool] = True

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        return ()

    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        """It takes one network, of all seeds at once; averages must follow, and nothing may keep its first shape."""
        if len(case.roles) != 1:
            yield "", f"one network grows at a time; 'where' chooses {' and '.join(map(repr, case.roles))}"
            return
        (role,) = case.roles
        if role not in case.networks:
            yield "", f"{role!r} is a learned number, which cannot grow"
            return
        yield from (("", message) for message in _conflicts(case, role))
        try:
            chosen = [path for _, path in case.parameters]
            for _ in self.steps(case.networks[role], case.outlines[role].input, case.actions, chosen):
                pass
        except ValueError as error:
            yield "", str(error)


def changed_at(block: Block, names: Sequence[str], change: Callable[[Block], Block | None], refusal: str) -> Block:
    """A block with the one under ``names`` inside it changed.

    Raises ValueError where a block on the way has no such child, or ``change`` gives None: ``refusal`` has a place for
    the ``{kind}`` of that block.
    """
    if names:
        changed = block.with_child(names[0], lambda child: changed_at(child, names[1:], change, refusal))
    else:
        changed = change(block)
    if changed is None:
        raise ValueError(refusal.format(kind=block.kind))
    return changed


def _conflicts(case: Case, role: str) -> Iterator[str]:
    """What in the rest of the blueprint does not allow a network to grow."""
    own = case.interventions[case.name]
    if case.name in case.per_seed:
        yield (
            "seeds that are trained in one program have networks of one shape, and this trigger fires for each seed on "
            "its own: plan its moments, or train each seed as a run of its own (seeds = [0])"
        )
    if role in case.averages.values() and own.target != "follow":
        yield f"averages of {role!r} grow too; write target = 'follow' beside 'do'"
    if own.moments != "keep":
        yield "optimizer moments of new entries are 0, and all others are kept: leave 'moments' out"
    if role in case.anchored:
        yield f"{case.anchored[role]} keeps tensors that have the first shapes of {role!r}, which would be others"
    for name, each in case.interventions.items():
        if role not in {chosen for chosen, _ in case.chosen[name]}:
            continue
        if each.do.growth:
            yield f"{name!r} injects {role!r}: a network is injected or grows, not both"
        elif each.do.keeps_shapes(case.outlines, case.chosen[name]):
            yield f"{name!r} keeps tensors that have the first shapes of {role!r}: a network that grows has others"
