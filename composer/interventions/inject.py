"""Plasticity injection, declared. ``composer.training.surgery.injection`` performs it.

Tests: tests/interventions/test_injection.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from typing_extensions import override

from composer.interventions.base import Growth, Operation, Rewrite
from composer.networks.blocks.base import in_a_row
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import ParameterName

if TYPE_CHECKING:
    from composer.interventions.base import Case, OperationContext


class Inject(Operation, kind="inject"):
    """Give the last layers of a network new plasticity without changing what it computes: ``h + h_new - h_twin``.

    The chosen parameters are those of the last layers, head included. The layers before them are the encoder: all terms
    share it, and gradients reach it through all of them. ``h_new`` and its twin start as one fresh draw; from then on
    only ``h_new`` is trained, so that the number of trained parameters stays. It may be repeated. Averages of the
    network get the same terms. Source: Nikishin et al., arXiv:2305.15555; the other keys are ablations.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "inject"}

    third_term: Literal["subtract", "omit"] = "subtract"
    """Whether the frozen twin is subtracted; without it outputs change at the injection."""
    original: Literal["freeze", "train"] = "freeze"
    """Whether the earlier terms are frozen or go on being trained."""

    @property
    @override
    def growth(self) -> Growth:
        return Growth(has_twin=self.third_term == "subtract", freezes_original=self.original == "freeze")

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        return ()

    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        """It takes one value network, cut between two blocks of its trunk, once; averages must follow."""
        if len(case.roles) != 1:
            yield "", f"an injection takes one network; 'where' chooses {' and '.join(map(repr, case.roles))}"
            return
        (role,) = case.roles
        network = case.networks.get(role)
        if network is None or not network.head.is_additive:
            what = "a learned number" if network is None else f"a network with the head {network.head.kind!r}"
            yield "", f"{role!r} is {what}; only outputs that are sums of terms, such as values, can be injected"
            return
        try:
            split_of(case.outlines[role], [path for _, path in case.parameters])
        except ValueError as error:
            yield "", str(error)
        others = [name for name, each in case.interventions.items() if each.do.growth]
        same = next(name for name in others if {parameter[0] for parameter in case.chosen[name]} == {role})
        if same != case.name:
            yield "", f"{same!r} injects {role!r} already; let its trigger repeat it instead"
        if role in case.averages.values() and case.interventions[case.name].target != "follow":
            yield "", f"averages of {role!r} take the same terms; write target = 'follow' beside 'do'"


def split_of(outline: Outline, chosen: Sequence[str]) -> int:
    """Number of the trunk's blocks in the encoder when exactly ``chosen`` paths are injected.

    Raises ValueError, which says what to choose instead, unless these are all parameters of the network's last layers.
    """
    blocks, wanted = in_a_row(outline.children["trunk"]), set(chosen)
    for split in range(len(blocks), -1, -1):
        tail = set(tail_paths(outline, split))
        if tail == wanted:
            return split
        if not tail <= wanted:
            break
    missing = sorted(set(tail_paths(outline, first_block(outline, chosen))) - wanted)
    raise ValueError(f"choose whole layers from one of the trunk's blocks to the head; {missing[0]!r} is left out")


def first_block(outline: Outline, chosen: Sequence[str]) -> int:
    """Index of the first block of the trunk with a chosen parameter; the number of blocks without any."""
    names = list(in_a_row(outline.children["trunk"]))
    starts = [f"trunk.{name}." if name else "trunk." for name in names]
    taken = (index for index, start in enumerate(starts) if any(path.startswith(start) for path in chosen))
    return next(taken, len(names))


def tail_paths(outline: Outline, split: int) -> list[str]:
    """Paths of the parameters from block ``split`` of the trunk to the head."""
    tail = []
    for name, block in list(in_a_row(outline.children["trunk"]).items())[split:]:
        prefix = f"trunk.{name}." if name else "trunk."
        tail += [path for path, _ in block.named_parameters(prefix)]
    return tail + [path for path, _ in outline.children["head"].named_parameters("head.")]
