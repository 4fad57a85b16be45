"""The arithmetic's floor: what is recorded of an update is what is repeated."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed import products
from benchmarks.speed.products import Convolution, Layout, Product, ProductsSubject, record


def test_products_are_recorded_with_shapes_and_layouts() -> None:
    left, right, stack = torch.randn(4, 3), torch.randn(5, 3), torch.randn(2, 3, 5)
    found = record(lambda: torch.bmm((left @ right.T).expand(2, 4, 5), stack.transpose(1, 2)))
    assert found == [Product((4, 3), (3, 5), False, True), Product((2, 4, 5), (2, 5, 3), False, True)]
    assert [product.flops for product in found] == [2 * 4 * 3 * 5, 2 * 2 * 4 * 5 * 3]


@pytest.mark.parametrize("inputs", [False, True], ids=["weights", "weights and inputs"])
def test_convolutions_are_recorded_forward_and_backward_with_layouts(inputs: bool) -> None:
    images = torch.randn(2, 4, 9, 7).contiguous(memory_format=torch.channels_last).requires_grad_(inputs)
    weight, bias = torch.randn(6, 4, 3, 3, requires_grad=True), torch.zeros(6, requires_grad=True)
    wanted = [weight, bias, *([images] if inputs else [])]
    found = record(lambda: torch.autograd.grad(conv2d(images, weight, bias, stride=2, padding=1).sum(), wanted))
    forward, backward = found
    assert isinstance(forward, Convolution) and isinstance(backward, Convolution)
    once = 2 * (2 * 6 * 5 * 4) * (4 * 3 * 3)
    assert (forward.flops, backward.flops) == (once, once * (1 + inputs))
    laid_out = forward.arguments[0]
    assert laid_out == Layout((2, 4, 9, 7), images.stride()) and laid_out.filled().stride() == (252, 1, 28, 4)


def test_what_is_repeated_is_what_was_recorded() -> None:
    images, weight = torch.randn(2, 4, 9, 9, requires_grad=True), torch.randn(6, 4, 3, 3, requires_grad=True)
    matrix = torch.randn(3, 5)

    def update() -> None:
        torch.autograd.grad(conv2d(images, weight, stride=2).sum(), [images, weight])
        matrix @ matrix.T

    subject = ProductsSubject(update)
    counter = FlopCounterMode(display=False)
    with counter:
        subject.call()
    assert subject.flops() == counter.get_total_flops() > 0


def test_operations_that_the_floor_would_miss_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "count_flops", lambda call: 1_001)
    with pytest.raises(RuntimeError, match="recorded products of 1,000 operations, but torch counts 1,001"):
        record(lambda: torch.ones(10, 5) @ torch.ones(5, 10))
