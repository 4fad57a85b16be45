"""The family of blocks: a declared map from a tensor to a tensor, with its shapes known before torch is imported.

Tests: tests/networks/test_blocks.py runs every kind's example through one contract.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.networks.initializers import Initializer
from composer.networks.outline import Outline, ParameterPlan
from composer.spec.family import Family, Spec
from composer.spec.lazy_call import LazyCall
from composer.spec.shape import Shape, ShapeError, located

if TYPE_CHECKING:
    from torch import nn

# Bounds that no sensible network meets: they stop a typing error before anything is allocated.
MAX_WIDTH = 65_536
MAX_BLOCKS = 8_192

Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
Epsilon = Annotated[float, Field(gt=0, le=1)]


class Block(Family, family="block"):
    """A map from one tensor to one tensor; a list of blocks is a ``sequence``.

    Shapes are those of one sample. A built module takes any number of batch axes before them. It is built under
    ``torch.device("meta")``; its values are drawn from the outline (``composer.networks.initialize``), never by the
    module.
    """

    example_input: ClassVar[Shape] = (16,)
    """A shape that the example takes."""

    # What a kind is, for recycling, injection, diagnostics, lint and figures. A plug-in's kind declares the same.
    is_activation: ClassVar[bool] = False
    """Whether the entries of its output are a network's hidden units, which diagnostics count."""
    is_idempotent: ClassVar[bool] = False
    """Whether a second application changes nothing, as of ``relu``: identity layers can be put between the two."""
    units: ClassVar[Literal["makes", "keeps", "mixes"]] = "mixes"
    """What becomes of hidden units. ``makes``: a layer of weights. Its parameters with two axes or more are
    ``[out, in, ...]``, the first of them the mean weight; those with one axis are ``[out]``, the bias among them called
    ``bias``; each output is a unit. ``keeps``: a unit of the output comes from one unit of the input (and statistics of
    others), and every parameter has an entry per unit. ``mixes``: anything else."""
    axis: ClassVar[int | None] = None
    """The axis that a block of ``units`` other than ``mixes`` acts on, counted from the last: -1 for dense layers and
    layer norm, -3 for convolutions. None where it is that of features: channels of an image, else the last axis."""
    normalises: ClassVar[Literal["sample", "batch", "running", "sphere", "weights"] | None] = None
    """What brings values to one scale: moments of a sample, of a batch, running ones; the unit sphere; the weights."""
    is_chain: ClassVar[bool] = False
    """Whether it applies its children one after another and does nothing else. Where children are called ``0``, ``1``
    and so on, its module is a ``torch.nn.Sequential``. Without children it is the identity."""

    @override
    def without(self) -> Block | None:
        """The identity in the place of what normalises features."""
        features = self.normalises not in (None, "weights")
        return Block.kinds()["identity"]() if features else None

    @staticmethod
    def of(outline: Outline) -> type[Block]:
        """The kind of block that an outline is of; ``Block`` itself, which mixes units, where no block made it."""
        return Block._kinds.get(outline.kind, Block)  # type: ignore[return-value]

    @property
    def memory_size(self) -> int:
        """Numbers that it carries from one observation of an episode to the next."""
        return 0

    def repeats(self) -> int:
        """How many times its outline holds each block inside it: 1, except for blocks that repeat others."""
        return 1

    def written_blocks(self) -> int:
        """Itself and the blocks inside it, with every repetition written out; counted without outlining any."""
        return 1 + self.repeats() * sum(declared_blocks(getattr(self, name)) for name in type(self).model_fields)

    @classmethod
    def from_shorthand(cls, value: object) -> object:
        """A list is the ``layers`` of a ``sequence``."""
        return {"kind": "sequence", "layers": value} if isinstance(value, list) else value

    def with_child(self, name: str, change: Callable[[Block], Block]) -> Block | None:
        """This block with the child ``name`` of its outline changed; None where that child is no block of its own."""
        child = getattr(self, name, None)
        return self.model_copy(update={name: change(child)}) if isinstance(child, Block) else None

    def widened(self, units: int) -> Block | None:
        """This block with ``units`` output features; None where it has no width of its own."""
        return None

    def appended(self, block: Block) -> Block | None:
        """This list of blocks with one more at its end; None where it is no list."""
        return None

    def tail(self) -> Block | None:
        """The last whole layer of this list of blocks, to be appended again; None where it is no list."""
        return None

    @abstractmethod
    def outline(self, shape: Shape) -> Outline:
        """What this block is on an input of ``shape``; raises ``ShapeError`` where it cannot take that shape."""

    @abstractmethod
    def module(self, shape: Shape) -> LazyCall:
        """The module as a tree of constructor calls, its parameters and buffers those of the outline."""

    def build(self, shape: Shape) -> nn.Module:
        """The module itself, best under ``torch.device("meta")``; raises ``ShapeError`` as ``outline`` does."""
        built: nn.Module = self.module(shape).make()
        return built


def last_axis(shape: Shape, kind: str) -> int:
    """Width of the last axis; raises ``ShapeError`` for a scalar input, which has none."""
    if not shape:
        raise ShapeError(f"{kind!r} acts on the last axis, and its input is a scalar, shape []")
    return shape[-1]


def plan(
    shape: Shape, initializer: Initializer, fan_in: int, fan_out: int, key: str, unit_axis: int | None = None
) -> ParameterPlan:
    """A parameter's plan; ``key`` names the initialiser's place in the blueprint should it refuse the shape."""
    with located(key):
        initializer.check(shape)
    return ParameterPlan(shape, initializer, fan_in, fan_out, unit_axis=unit_axis)


def declared_blocks(value: object) -> int:
    """Blocks of a spec, or of values of a spec, with every repetition written out; counted without outlining any."""
    inner: Iterable[object] = ()
    if isinstance(value, Block):
        return value.written_blocks()
    if isinstance(value, Spec):
        inner = (getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, tuple | list):
        inner = value
    elif isinstance(value, Mapping):
        inner = value.values()
    return sum(map(declared_blocks, inner))


def in_a_row(outline: Outline) -> Mapping[str, Outline]:
    """The blocks that an outline applies one after another, by name; itself under ``""`` where it is no such row."""
    numbered = list(outline.children) == [str(index) for index in range(len(outline.children))]
    return outline.children if Block.of(outline).is_chain and numbered else {"": outline}


def count_blocks(outline: Outline) -> int:
    """Blocks in an outline, itself included."""
    return 1 + sum(count_blocks(child) for child in outline.children.values())
