"""Blocks as tests write them: tables, parts by name, and modules with fresh values."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from composer.blueprint.syntax.nodes import annotate, plain
from composer.blueprint.syntax.parts_expand import expand
from composer.networks.blocks import Block
from composer.networks.initialize import draw, draw_buffers
from composer.spec.random_streams import derive
from composer.spec.shape import Shape

BLOCKS: TypeAdapter[Block] = TypeAdapter(Block)


def parse(table: object) -> Block:
    """The block of a table or a list."""
    return BLOCKS.validate_python(table)


def part(name: str, **parameters: Any) -> Block:
    """The block that a part of the registry stands for."""
    tree, problems = expand(annotate({"use": name, **parameters}, {}, "test"))
    assert not problems
    return parse(plain(tree))


def fresh(block: Block, shape: Shape, seed: int = 0) -> nn.Module:
    """The block's module with values drawn from its outline, in training mode."""
    with torch.device("meta"):
        module = block.build(shape)
    outline, stream = block.outline(shape), partial(derive, seed)
    module.load_state_dict(draw(outline, stream) | draw_buffers(outline, stream), assign=True)
    return module
