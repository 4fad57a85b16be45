"""Sequences of observations across the ends of episodes, against a stream of plain lists."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from composer.replay.frames import FrameRing
from composer.replay.sequences import Remembered, sequences
from composer.replay.vectors import VectorRing

SEEDS, ENVIRONMENTS, CAPACITY, LENGTH = 2, 2, 40, 6
Element = tuple[float, float, float, bool, bool, bool]


def picture(numbers: Tensor) -> Tensor:
    """Whole numbers ``[S, E, 2]`` of -2^15 and more as two frames of two bytes, ``[S, E, 2, 1, 2]``."""
    code = numbers.long() + 2**15
    return torch.stack([code // 256, code % 256], -1).to(torch.uint8)[..., None, :]


def number_of(observation: Tensor, frame: int = -1) -> float:
    """The number of a vector, or of a frame."""
    if observation.ndim == 1:
        return float(observation)
    high, low = observation[frame, 0].tolist()
    return float(256 * high + low - 2**15)


class Stream:
    """A ring, and the observations of each environment in order: number, action, reward, first, last, terminal.

    Pictures show the number of the observation before as well, or at the beginning of an episode their own twice.
    """

    def __init__(self, interactions: int, has_pictures: bool = False) -> None:
        self.ring = (
            FrameRing(SEEDS, ENVIRONMENTS, CAPACITY, (2, 1, 2), 2, 1)
            if has_pictures
            else VectorRing(SEEDS, ENVIRONMENTS, CAPACITY, 1, 1)
        )
        self.elements: dict[tuple[int, int], list[Element]] = {}
        self.places: dict[tuple[int, int], int] = {}
        """Where the observation before a transition stands in its stream, by seed and number of the row."""
        draw, begins = random.Random(0), dict.fromkeys(range(SEEDS * ENVIRONMENTS), True)
        arrived = dict.fromkeys(begins, 0.0)
        for time in range(interactions):
            rows = []
            for member in begins:
                key = divmod(member, ENVIRONMENTS)
                stream = self.elements.setdefault(key, [])
                number, action, reward = float(10 * time + member), draw.random(), draw.random()
                before = number if begins[member] else number - 10
                ends = draw.random() < 0.3
                terminates = ends and draw.random() < 0.5
                self.places[key[0], time * ENVIRONMENTS + key[1]] = len(stream)
                stream.append(
                    (number, action, 0.0 if begins[member] else arrived[member], begins[member], False, False)
                )
                if ends:
                    stream.append((-number - 1, 0.0, reward, False, True, terminates))
                begins[member], arrived[member] = ends, reward
                after = -number - 1 if ends else number + 10
                rows.append((number, action, reward, terminates, ends and not terminates, after, before))
            columns = [torch.tensor(column).view(SEEDS, ENVIRONMENTS) for column in zip(*rows, strict=True)]
            number, action, reward, terminated, truncated, final, before = columns
            seen, following = number[..., None], final[..., None]
            if has_pictures:
                seen, following = (picture(torch.stack(pair, -1)) for pair in ((before, number), (number, final)))
            self.ring.add(seen, action[..., None], reward, terminated, truncated, following)


def fields(found: dict[str, Tensor], seed: int, sample: int, at: int) -> tuple[float, ...]:
    names = ("action", "reward", "first", "last", "terminal")
    number = number_of(found["sequence/observation"][seed, sample, at])
    return (number, *(float(found[f"sequence/{name}"][seed, sample, at]) for name in names))


@pytest.mark.parametrize("has_pictures", [False, True])
def test_sequences_are_pieces_of_the_stream(has_pictures: bool) -> None:
    """The ring has wrapped; the first observation counts as first, wherever its episode began."""
    stream = Stream(33, has_pictures)
    ring, generators = stream.ring, [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]
    starts = ring.indices_before(LENGTH, 200, generators)
    found, slots = sequences(ring, starts, LENGTH)
    oldest, seen = ring.added - ring.drawable, set()
    for seed in range(SEEDS):
        for sample in range(200):
            row = next(n for n in range(oldest, ring.added) if n % ring.capacity == starts[seed, sample])
            seen.add(row)
            elements = stream.elements[seed, row % ENVIRONMENTS]
            place = stream.places[seed, row]
            for at in range(LENGTH):
                number, action, reward, first, last, terminal = elements[place + at]
                expected = (number, action, reward if at else 0.0, first or not at, last, terminal)
                got = fields(found, seed, sample, at)
                assert got == tuple(torch.tensor(expected).tolist()), (row, at)
                if has_pictures:
                    before = number if first else elements[place + at - 1][0]
                    assert number_of(found["sequence/observation"][seed, sample, at], 0) == before
                slot = int(slots[seed, sample, at])
                if last:
                    assert slot == ring.capacity
                else:
                    assert number_of(ring._read(torch.full((SEEDS, 1), slot)).observation[seed, 0]) == number
    assert seen == set(range(oldest, ring.added - (LENGTH - 1) * ENVIRONMENTS))


def test_a_stream_that_is_too_short_repeats_its_newest_observation_as_a_first_one() -> None:
    stream = Stream(3)
    found, slots = sequences(stream.ring, torch.tensor([[0], [0]]), 8)
    elements = stream.elements[0, 0]
    for at in range(len(elements), 8):
        got = fields(found, 0, 0, at)
        assert got[0] in (elements[-1][0], elements[-2][0]) and slots[0, 0, at] == CAPACITY
        assert got[3] == 1 or got[4] == 1


def test_what_acting_remembered_is_kept_by_slot_and_saved() -> None:
    kept, other = (Remembered({"latent": (2,)}, SEEDS, size, "cpu") for size in (6, 4))
    kept.store(torch.tensor([0, 1]), {"latent": torch.tensor([[[1.0, 2.0], [3.0, 4.0]]] * SEEDS)})
    slots = torch.tensor([[[0, 2], [2, 6]], [[0, 2], [3, 6]]])
    values = torch.arange(16.0).view(SEEDS, 2, 2, 2)
    kept.write(slots, {"latent": values})
    assert kept.at(torch.tensor([[0, 1, 2], [2, 3, 1]]))["latent"].tolist() == [
        [[0.0, 1.0], [3.0, 4.0], [4.0, 5.0]],
        [[10.0, 11.0], [12.0, 13.0], [3.0, 4.0]],
    ]
    kept.write(slots, {"latent": values - 100}, torch.tensor([True, False]))
    assert kept.at(torch.tensor([[0], [0]]))["latent"].flatten(1).tolist() == [[-100.0, -99.0], [8.0, 9.0]]
    other.load(kept.tensors(), 6)
    assert torch.equal(other.at(torch.tensor([[2, 3]] * 2))["latent"], kept.at(torch.tensor([[2, 3]] * 2))["latent"])
    kept.store(torch.tensor([0]), {})
    assert not kept.at(torch.tensor([[0], [0]]))["latent"].any()
