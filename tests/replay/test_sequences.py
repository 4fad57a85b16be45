"""Sequences of observations across the ends of episodes, against a stream of plain lists."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from composer.replay.sequences import Remembered, sequences
from composer.replay.vectors import VectorRing

SEEDS, ENVIRONMENTS, CAPACITY, LENGTH = 2, 2, 40, 6
Element = tuple[float, float, float, bool, bool, bool]


class Stream:
    """A ring, and the observations of each environment in order: number, action, reward, first, last, terminal."""

    def __init__(self, interactions: int) -> None:
        self.ring = VectorRing(SEEDS, ENVIRONMENTS, CAPACITY, 1, 1)
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
                ends = draw.random() < 0.3
                terminates = ends and draw.random() < 0.5
                self.places[key[0], time * ENVIRONMENTS + key[1]] = len(stream)
                stream.append(
                    (number, action, 0.0 if begins[member] else arrived[member], begins[member], False, False)
                )
                if ends:
                    stream.append((-number - 1, 0.0, reward, False, True, terminates))
                begins[member], arrived[member] = ends, reward
                rows.append((number, action, reward, terminates, ends and not terminates, -number - 1))
            columns = [torch.tensor(column).view(SEEDS, ENVIRONMENTS) for column in zip(*rows, strict=True)]
            seen, action, reward, terminated, truncated, final = columns
            self.ring.add(seen[..., None], action[..., None], reward, terminated, truncated, final[..., None])


def fields(found: dict[str, Tensor], seed: int, sample: int, at: int) -> tuple[float, ...]:
    names = ("observation", "action", "reward", "first", "last", "terminal")
    return tuple(float(found[f"sequence/{name}"][seed, sample, at]) for name in names)


def test_sequences_are_pieces_of_the_stream() -> None:
    """The ring has wrapped; the first observation counts as first, wherever its episode began."""
    stream = Stream(33)
    ring, generators = stream.ring, [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]
    starts = ring.indices_before(LENGTH, 200, generators)
    found, slots = sequences(ring, starts, LENGTH)
    oldest, seen = ring.added - ring.size, set()
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
                slot = int(slots[seed, sample, at])
                if last:
                    assert slot == ring.capacity
                else:
                    assert ring._read(torch.full((SEEDS, 1), slot)).observation[seed, 0] == number
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
