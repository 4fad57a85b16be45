"""Random changes of pictures against slow loops: arXiv:2004.13649 (shift), arXiv:2007.05929 (intensity)."""

from __future__ import annotations

import torch
from pydantic import TypeAdapter
from torch.func import vmap

from composer.algorithms import Augmentation
from composer.algorithms.losses.augmentation import uniform_integers

AUGMENTATIONS: TypeAdapter[Augmentation] = TypeAdapter(Augmentation)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_kinds_keep_their_contract() -> None:
    for kind in Augmentation.kinds().values():
        one = AUGMENTATIONS.validate_python(kind.example)
        assert AUGMENTATIONS.validate_python(AUGMENTATIONS.dump_python(one)) == one
        pictures, noise = drawn(2, 5, 3, 9, 7), drawn(2, 5, *one.draws(), seed=1)
        change = one.build()
        changed = change(pictures, noise)
        assert changed.shape == pictures.shape and not torch.equal(changed, pictures)
        torch.testing.assert_close(changed[1, 3], change(pictures[1, 3], noise[1, 3])), "samples do not mix"
        torch.testing.assert_close(vmap(change)(pictures, noise), changed)


def test_a_shift_is_a_crop_of_the_picture_with_its_edges_repeated() -> None:
    pad, pictures, noise = 2, drawn(40, 3, 9, 7), drawn(40, 2, seed=1)
    shifted = AUGMENTATIONS.validate_python({"kind": "random_shift", "pad": pad}).build()(pictures, noise)
    padded = torch.nn.functional.pad(pictures, [pad] * 4, mode="replicate")
    seen = set()
    for picture, got, (down, right) in zip(padded, shifted, uniform_integers(noise, 2 * pad + 1).tolist(), strict=True):
        seen.add((down, right))
        for row in range(9):
            for column in range(7):
                assert torch.equal(got[:, row, column], picture[:, row + down, column + right])
    assert len(seen) > 10


def test_a_shift_is_drq_v2s_sampling_of_the_padded_picture_by_a_grid() -> None:
    """drqv2.py, RandomShiftsAug: bilinear between whole pixels, whose weights are 0 and 1 up to rounding."""
    pad, size, pictures, noise = 4, 12, 255 * drawn(30, 3, 12, 12).abs(), drawn(30, 2, seed=1)
    shifted = AUGMENTATIONS.validate_python({"kind": "random_shift", "pad": pad}).build()(pictures, noise)
    padded, whole = torch.nn.functional.pad(pictures.double(), [pad] * 4, mode="replicate"), size + 2 * pad
    # The centre of pixel i of n is at (2 i + 1) / n - 1; a shift by one pixel is one of 2 / n.
    centres = (2 * torch.arange(size).double() + 1) / whole - 1
    moves = 2 * uniform_integers(noise, 2 * pad + 1).double() / whole
    rows, columns = (centres + move[:, None] for move in moves.unbind(-1))
    grid = torch.stack([columns[:, None, :].expand(-1, size, -1), rows[:, :, None].expand(-1, -1, size)], -1)
    sampled = torch.nn.functional.grid_sample(padded, grid, padding_mode="zeros", align_corners=False)
    torch.testing.assert_close(shifted.double(), sampled, rtol=1e-6, atol=1e-4)


def test_every_whole_number_is_as_likely_and_none_is_beyond() -> None:
    counts = uniform_integers(drawn(90_000), 9).bincount()
    assert counts.numel() == 9 and (counts - 10_000).abs().max() < 5 * 10_000**0.5
    assert uniform_integers(torch.tensor([-50.0, 50.0]), 9).tolist() == [0, 8]


def test_intensity_is_one_factor_a_picture_and_cut() -> None:
    noise = torch.tensor([[0.5], [-1.0], [3.0], [-9.0]])
    changed = AUGMENTATIONS.validate_python({"kind": "intensity"}).build()(torch.ones(4, 2, 3, 3), noise)
    for picture, factor in zip(changed, (1.025, 0.95, 1.1, 0.9), strict=True):
        torch.testing.assert_close(picture, torch.full_like(picture, factor))
