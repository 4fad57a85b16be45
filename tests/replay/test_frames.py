"""The replay of pictures against a memory that keeps every stack whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from composer.replay.frames import FrameRing

SHAPE = (4, 3, 2)


class World:
    """Random pictures in stacks; an episode begins with zeros, with a repeated frame, or goes on after its end."""

    def __init__(self, seeds: int, environments: int, capacity: int, stacked: int = 4) -> None:
        self.random = torch.Generator().manual_seed(1)
        self.shape = (seeds, environments)
        self.stacked = stacked
        self.ring = FrameRing(seeds, environments, capacity, SHAPE, stacked, 2)
        self.ring._pictures.fill_(77)
        self.log: list[tuple[Tensor, ...]] = []
        self.observation = self._first()

    def _frame(self) -> Tensor:
        return torch.randint(256, (*self.shape, SHAPE[0] // max(self.stacked, 1), 3, 2), generator=self.random).byte()

    def _first(self) -> Tensor:
        if not self.stacked:
            return self._frame()
        frame = self._frame()
        half = self.stacked // 2
        return torch.cat([torch.zeros_like(frame)] * half + [frame] * (self.stacked - half), 2)

    def step(self, times: int) -> None:
        for _ in range(times):
            final = self._frame()
            if self.stacked:
                final = torch.cat([self.observation[:, :, SHAPE[0] // self.stacked :], final], 2)
            draw = torch.rand(self.shape, generator=self.random)
            terminated, truncated = draw < 0.15, draw > 0.9
            goes_on = torch.rand(self.shape, generator=self.random) < 0.3
            fresh = ((terminated | truncated) & ~goes_on)[:, :, None, None, None]
            moved = (
                self.observation,
                torch.randn(*self.shape, 2, generator=self.random),
                torch.randn(*self.shape, generator=self.random),
                terminated,
                truncated,
                final,
            )
            self.ring.add(*moved)
            self.log.append(moved)
            self.observation = torch.where(fresh, self._first(), final)

    def check(self, ring: FrameRing) -> None:
        """Every transition that may be drawn is what was added."""
        environments = self.shape[1]
        low = ring.added - ring.size + (ring.stale if ring.added >= ring.capacity else 0)
        for number in range(low, ring.added):
            time, environment = divmod(number, environments)
            slots = torch.full((self.shape[0], 1), number % ring.capacity)
            got = ring.windows(slots, 1, torch.ones(self.shape[0]))
            observation, action, reward, terminated, _, final = (part[:, environment] for part in self.log[time])
            assert torch.equal(got.observation[:, 0], observation)
            assert torch.equal(got.next_observation[:, 0], final)
            assert torch.equal(got.action[:, 0], action)
            assert torch.equal(got.reward[:, 0], reward)
            assert torch.equal(got.bootstrap[:, 0], 1 - terminated.float())


@pytest.mark.parametrize(("seeds", "environments", "stacked"), [(1, 1, 4), (2, 3, 4), (2, 1, 2), (1, 2, 0)])
def test_stacks_are_put_together_as_they_were_seen(seeds: int, environments: int, stacked: int) -> None:
    world = World(seeds, environments, 60, stacked)
    for times in (1, 5, 12, 1, 1, 40, 90):
        world.step(times)
        world.check(world.ring)


def test_a_draw_avoids_what_the_ring_has_forgotten_and_reaches_all_else() -> None:
    world = World(1, 2, 40)
    world.step(33)
    indices = world.ring.indices(4_000, [torch.Generator().manual_seed(0)])
    numbers = {(66 - 40 + (slot - 66) % 40) for slot in indices.flatten().tolist()}
    assert numbers == set(range(66 - 40 + world.ring.stale, 66))


def test_windows_and_futures_stop_at_the_end_of_an_episode() -> None:
    world = World(1, 1, 64)
    world.step(50)
    indices = torch.arange(50)[None]
    got = world.ring.future(indices, 3)
    windows = world.ring.windows(indices, 3, torch.tensor([0.9]))
    for start in range(50):
        alive, total, factor = True, 0.0, 1.0
        for step in range(3):
            alive = alive and start + step < 50
            assert bool(got["future/alive"][0, start, step]) == alive
            if not alive:
                continue
            _, action, reward, terminated, truncated, final = (part[0, 0] for part in world.log[start + step])
            assert torch.equal(got["future/action"][0, start, step], action)
            assert torch.equal(got["future/observation"][0, start, step], final)
            assert got["future/reward"][0, start, step] == reward
            assert bool(got["future/terminated"][0, start, step]) == bool(terminated)
            total += factor * reward.item()
            factor *= 0.9
            end, kept = final, 0.0 if terminated else factor
            alive = not (terminated or truncated)
        assert torch.equal(windows.next_observation[0, start], end)
        assert windows.reward[0, start].item() == pytest.approx(total, abs=1e-5)
        assert windows.bootstrap[0, start].item() == pytest.approx(kept, abs=1e-6)


@pytest.mark.parametrize("cut", [25, 70])
def test_what_is_saved_in_segments_comes_back_and_goes_on(cut: int) -> None:
    world = World(2, 2, 60)
    world.step(10)
    early = world.ring.rows(0, 20)
    world.step(cut - 10)
    ring = world.ring
    start = ring.added - ring.size
    pieces = [(start, ring.rows(start, ring.added))]
    if cut == 25:  # A segment that was written earlier, before what came next was known.
        pieces = [(0, early), (20, ring.rows(20, ring.added))]
    other = FrameRing(2, 2, 60, SHAPE, 4, 2)
    for first, rows in pieces:
        other.restore(first, rows)
    other.load({name: value.clone() for name, value in ring.tensors().items()})
    world.check(other)
    random = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    twins = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    world.ring = other  # What is added from now on goes into the restored one.
    world.step(30)
    world.check(other)
    assert torch.equal(other.indices(8, random), other.indices(8, twins))


def test_a_capacity_without_a_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no stack of 4 frames"):
        FrameRing(1, 2, 8, SHAPE, 4, 2)
