"""Growth in depth: a list of blocks gets one more at its end. Tests: tests/interventions/test_growth.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.interventions.grow import Grow, changed_at
from composer.interventions.growth_steps import Draws, Step
from composer.networks.blocks import Block
from composer.networks.blocks.base import in_a_row
from composer.networks.network import Network
from composer.networks.outline import BufferPlan, Outline, ParameterPlan
from composer.spec.shape import Shape, ShapeError

if TYPE_CHECKING:
    from torch import Tensor


class Deepen(Grow, kind="deepen"):
    """Put one more block behind a list of blocks and leave the outputs as they are.

    ``where`` chooses all parameters of one list, such as ``critic.trunk.1.*`` of a ``repeat``: the outermost with just
    these. The new block must keep the shape, and begin as the identity. A ``residual`` block does so by zeros in its
    last layer, weights or gains, which have gradients at once. Another layer does so as Net2DeeperNet: a ``linear``
    block of weight I and bias 0, alone or before an activation that comes last already and of which a second one
    changes nothing (``relu``). All other weights are drawn by their initialisers. Optimizer state of old parameters is
    kept. Sources: Chen et al., arXiv:1511.05641, section 3.2; residual blocks that begin at zero: Goyal et al.,
    arXiv:1706.02677, section 5.1.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "deepen",
        "block": [{"kind": "linear", "expansion": 1}, {"kind": "relu"}],
    }

    block: Block | None = None
    """What is added: another like the last of the list where it is left out."""

    @override
    def steps(self, network: Network, shape: Shape, actions: int, chosen: Sequence[str]) -> Iterator[Step]:
        before = network.outline(shape, actions)
        path, chain = _list_of(before, chosen)
        names = path.split(".")[1:]
        block = self.block or _like_the_last(network.trunk, names, path)
        refusal = f"{path} cannot be deepened: '{{kind}}' holds no list of blocks to add to"
        trunk = changed_at(network.trunk, names, lambda found: found.appended(block), refusal)
        deeper = network.model_copy(update={"trunk": trunk})
        try:
            new = block.outline(chain.output)
        except ShapeError as error:
            raise ValueError(f"the new block cannot follow {path}: {error.message}") from None
        if new.output != chain.output:
            raise ValueError(f"the new block gives {list(new.output)}, and must keep the shape {list(chain.output)}")
        after, prefix = deeper.outline(shape, actions), f"{path}.{len(chain.children)}."
        yield DeeperList(deeper, before, after, f"one more block in {path}", prefix, *_beginning(new, chain, prefix))


@dataclass(frozen=True)
class DeeperList(Step):
    """A new block under ``prefix``."""

    prefix: str
    zeros: frozenset[str]
    """Parameters that begin at 0."""
    identity: str
    """The weight that begins as the identity; empty where none does."""

    @override
    def tensor(self, path: str, plan: ParameterPlan | BufferPlan, old: Tensor | None, draws: Draws) -> Tensor:
        import torch

        if old is not None:
            return old
        value = draws.fresh(path, plan)
        if path == self.identity:
            return torch.eye(plan.shape[0]).to(value).expand_as(value).clone()
        return torch.zeros_like(value) if path in self.zeros else value

    @override
    def moment(self, path: str, old: Tensor, draws: Draws) -> Tensor:
        return old


def _list_of(outline: Outline, chosen: Sequence[str]) -> tuple[str, Outline]:
    """The outermost list of blocks of the trunk whose parameters are just the chosen ones, with its path."""
    lists = [(path, each) for path, each in _lists(outline.children["trunk"], "trunk")]
    wanted = set(chosen)
    found = [(path, each) for path, each in lists if {name for name, _ in each.named_parameters(f"{path}.")} == wanted]
    if not found:
        shown = ", ".join(f"'{path}.*'" for path, each in lists if any(True for _ in each.named_parameters()))
        raise ValueError(
            f"'where' must choose all parameters of one list of blocks of the trunk: {shown or 'none here'}"
        )
    return found[0]


def _lists(outline: Outline, path: str) -> Iterator[tuple[str, Outline]]:
    """Lists of blocks with their paths, outer ones first."""
    if outline.children and "" not in in_a_row(outline):
        yield path, outline
    for name, child in outline.children.items():
        yield from _lists(child, f"{path}.{name}")


def _like_the_last(trunk: Block, names: Sequence[str], path: str) -> Block:
    """The last block of a list; with the activation behind it where that is a block of its own."""
    last = _at(trunk, names).tail()
    if last is None:
        raise ValueError(f"say in 'block' what is added to {path}: it does not end with a whole layer")
    return last


def _at(block: Block, names: Sequence[str]) -> Block:
    """The block under ``names`` inside another."""
    found = [block]

    def keep(child: Block) -> Block:
        found.append(child)
        return child

    for name in names:
        found[-1].with_child(name, keep)
    return found[-1]


def _beginning(new: Outline, chain: Outline, prefix: str) -> tuple[frozenset[str], str]:
    """Parameters of a new block that begin at 0, and the weight that begins as the identity."""
    if new.layout == "residual" and new.join == "sum":
        path, last = _last(new.children["block"], f"{prefix}block")
        kind = Block.of(last)
        is_free = not any(plan.is_projected for plan in last.parameters.values())
        if last.parameters and is_free and (kind.units == "makes" or kind.normalises):
            return frozenset(f"{path}.{name}" for name in last.parameters), ""
        raise ValueError(f"a residual block begins at 0 by its last layer, and {last.kind!r} has no weights or gains")
    row = list(in_a_row(new).values())
    layer, rest = row[0], row[1:]
    weight = layer.parameters.get("weight")
    repeats = [Block.of(each) for each in (*rest, _last(chain, "")[1])] if rest else []
    if (
        weight is not None
        and Block.of(layer).units == "makes"
        and len(weight.shape) == 2
        and weight.unit_axis is None
        and len(rest) <= 1
        and all(each.is_idempotent for each in repeats)
        and len({each for each in repeats}) <= 1
    ):
        start = prefix if "" in in_a_row(new) else f"{prefix}0."
        return frozenset(f"{start}{name}" for name in layer.parameters), f"{start}weight"
    raise ValueError(
        "the new block would not begin as the identity: use a 'residual' block that ends with weights or gains, or one "
        "'linear' block, alone or before a 'relu' behind a list that ends with 'relu'"
    )


def _last(outline: Outline, path: str) -> tuple[str, Outline]:
    """The last block of nested lists, with its path."""
    row = in_a_row(outline)
    if "" in row or not row:
        return path, outline
    name = list(row)[-1]
    return _last(row[name], f"{path}.{name}")
