"""Pictures on the device: crops and flips against a slow reference, bytes as numbers."""

from __future__ import annotations

import pytest
import torch

from composer.training.collect.pictures import Standardizer, cropped, random_crops


def test_crops_and_flips_are_those_of_a_slow_reference() -> None:
    pictures = torch.arange(2 * 5 * 3 * 6 * 4).reshape(2, 5, 3, 6, 4).to(torch.uint8)
    changes = random_crops((7, 9), 5, 2, True)
    got = cropped(pictures, 2, changes)
    assert got.dtype == torch.uint8 and got.shape == pictures.shape
    for seed in range(2):
        for index in range(5):
            padded = torch.zeros(3, 10, 8, dtype=torch.uint8)
            padded[:, 2:8, 2:6] = pictures[seed, index]
            down, right = int(changes.down[seed, index]), int(changes.right[seed, index])
            cut = padded[:, down : down + 6, right : right + 4]
            expected = cut.flip(-1) if changes.flipped[seed, index] else cut
            assert torch.equal(got[seed, index], expected)


def test_changes_are_uniform_and_a_seeds_own() -> None:
    together, alone = random_crops((7, 9), 4_000, 2, True), random_crops((9,), 4_000, 2, True)
    for row, single in zip(together, alone, strict=True):
        assert torch.equal(row[1], single[0]) and not torch.equal(row[0], row[1])
    for moved in together[:2]:
        counts = moved.flatten().bincount()
        assert len(counts) == 5 and counts.min() > 8_000 / 5 * 0.9
    assert together.flipped.float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert not random_crops((7,), 100, 0, False).flipped.any() and random_crops((7,), 100, 0, False).down.max() == 0


def test_nothing_is_cut_or_mirrored_where_nothing_is_asked() -> None:
    pictures = torch.randint(256, (1, 6, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(cropped(pictures, 0, random_crops((3,), 6, 0, False)), pictures)


def test_bytes_are_standardised_by_channel_and_numbers_left_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([10, 100, 255])[:, None, None]
    pictures = (torch.rand(2, 5_000, 3, 4, 4, generator=generator) * spread).to(torch.uint8)
    numbers = Standardizer(pictures)(pictures)
    torch.testing.assert_close(numbers.mean((1, 3, 4)), torch.zeros(2, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(numbers.std((1, 3, 4), correction=0), torch.ones(2, 3), atol=1e-4, rtol=0)
    shared = Standardizer(pictures[:1].expand(4, -1, -1, -1, -1))(pictures[:1])
    torch.testing.assert_close(shared, numbers[:1])
    floats = torch.rand(1, 3, 64, generator=generator)
    assert Standardizer(floats)(floats) is floats


def test_declared_moments_take_the_place_of_measured_ones() -> None:
    """torchvision's ToTensor and Normalize: ``(byte / 255 - mean) / deviation`` per channel, for every seed."""
    pictures = torch.randint(256, (2, 5, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    mean, deviation = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    centre, spread = (torch.tensor(each)[:, None, None] for each in (mean, deviation))
    expected = (pictures.float() / 255 - centre) / spread
    torch.testing.assert_close(Standardizer(pictures, (mean, deviation))(pictures), expected)
    assert not torch.allclose(Standardizer(pictures)(pictures), expected)
