"""The replay ring against a plain-python memory of everything that was ever added."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from composer.replay.transitions import Transitions
from composer.replay.vectors import VectorRing, row_size

OBSERVATION, ACTION = 2, 1


@dataclass
class Memory:
    """A ring and, beside it, lists that forget nothing. Observation entry 0 tells which transition it belongs to."""

    seeds: int
    environments: int
    capacity: int
    ring: VectorRing = field(init=False)
    log: list[tuple[Tensor, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ring = VectorRing(self.seeds, self.environments, self.capacity, OBSERVATION, ACTION)
        self.ring._rows.fill_(torch.nan)  # Memory that was never written may hold anything.
        self._generator = torch.Generator().manual_seed(3)

    def add(self, times: int, end_every: int = 0) -> None:
        """Random transitions; about one in ``end_every`` ends its episode, half of them by a termination."""
        for _ in range(times):
            shape = (self.seeds, self.environments)
            draw = torch.rand(*shape, generator=self._generator)
            ends = draw < (1 / end_every if end_every else 0)
            terminated = draw < (0.5 / end_every if end_every else 0)
            moved = (
                self._observation(len(self.log)),
                torch.randn(*shape, ACTION, generator=self._generator),
                torch.randn(*shape, generator=self._generator),
                terminated,
                ends & ~terminated,
                -self._observation(len(self.log)) - 1,
            )
            self.ring.add(*moved)
            self.log.append(moved)

    def _observation(self, time: int) -> Tensor:
        """Entry 0: number of the transition in order of arrival; entry 1: its seed."""
        number = time * self.environments + torch.arange(self.environments).float()
        seed = torch.arange(self.seeds).float()
        return torch.stack([number.expand(self.seeds, -1), seed[:, None].expand(-1, self.environments)], -1)

    def window(self, seed: int, number: int, n_step: int, discount: float) -> tuple[float, float, Tensor]:
        """Reward, bootstrap and last observation of the window at transition ``number``, step by step."""
        time, environment = divmod(number, self.environments)
        reward, factor = 0.0, 1.0
        while True:
            _, _, rewards, terminated, truncated, final = (part[seed, environment] for part in self.log[time])
            reward += factor * rewards.item()
            factor *= discount
            n_step -= 1
            if terminated:
                return reward, 0.0, final
            if truncated or not n_step or time + 1 == len(self.log):
                return reward, factor, final
            time += 1


def generators(seeds: int, base: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(base + seed) for seed in range(seeds)]


def numbers(sample: Transitions) -> Tensor:
    return sample.observation[..., 0].long()


@pytest.mark.parametrize("environments", [1, 3])
@pytest.mark.parametrize("added", [1, 5, 8, 9, 21])
def test_exactly_the_newest_transitions_are_held(environments: int, added: int) -> None:
    memory = Memory(2, environments, 8 * environments)
    memory.add(added)
    assert memory.ring.size == min(added, 8) * environments
    sample = memory.ring.sample(2_000, 1, torch.tensor([0.9, 0.9]), generators(2))
    newest = set(range(max(0, added - 8) * environments, added * environments))
    for seed in range(2):
        assert set(numbers(sample)[seed].tolist()) == newest
        assert (sample.observation[seed, :, 1] == seed).all()


def test_what_was_put_in_comes_out() -> None:
    memory = Memory(2, 2, 12)
    memory.add(15, end_every=3)
    discount = torch.tensor([0.9, 0.5])
    sample = memory.ring.sample(64, 1, discount, generators(2))
    for seed in range(2):
        for row, number in enumerate(numbers(sample)[seed].tolist()):
            observation, action, reward, terminated, _, final = (
                part[seed, number % 2] for part in memory.log[number // 2]
            )
            assert torch.equal(sample.observation[seed, row], observation)
            assert torch.equal(sample.action[seed, row], action)
            assert sample.reward[seed, row] == reward
            assert sample.bootstrap[seed, row] == (0.0 if terminated else discount[seed])
            assert torch.equal(sample.next_observation[seed, row], final)


@pytest.mark.parametrize("n_step", [1, 2, 3, 5])
@pytest.mark.parametrize("environments", [1, 3])
@pytest.mark.parametrize(("added", "end_every"), [(6, 0), (10, 4), (23, 3), (23, 0), (20, 4)])
def test_windows_are_those_of_a_slow_reference(n_step: int, environments: int, added: int, end_every: int) -> None:
    """Terminations and truncations inside, the newest transition, a ring that is not full, full, and wrapped."""
    memory = Memory(2, environments, 10 * environments)
    memory.add(added, end_every)
    discount = torch.tensor([0.9, 0.7])
    sample = memory.ring.sample(400, n_step, discount, generators(2))
    seen = set()
    for seed in range(2):
        for row, number in enumerate(numbers(sample)[seed].tolist()):
            seen.add(number)
            reward, bootstrap, final = memory.window(seed, number, n_step, [0.9, 0.7][seed])
            assert sample.reward[seed, row].item() == pytest.approx(reward, rel=1e-5, abs=1e-5)
            assert sample.bootstrap[seed, row].item() == pytest.approx(bootstrap, rel=1e-6)
            assert torch.equal(sample.next_observation[seed, row], final)
    assert len(seen) == memory.ring.size  # Every window was compared, the newest ones among them.


def test_a_window_that_the_newest_transition_cuts_bootstraps_over_its_own_length() -> None:
    memory = Memory(1, 1, 4)
    memory.add(7)
    sample = memory.ring.sample(200, 3, torch.tensor([0.5]), generators(1))
    lengths = {
        number: -math.log2(bootstrap)
        for number, bootstrap in zip(numbers(sample)[0].tolist(), sample.bootstrap[0].tolist(), strict=True)
    }
    assert lengths == {3: 3, 4: 3, 5: 2, 6: 1}


def test_sampling_is_uniform_over_what_is_held() -> None:
    memory = Memory(1, 4, 40)
    for _ in range(3):  # Not full, full, wrapped.
        memory.add(7)
        sample = memory.ring.sample(40_000, 1, torch.tensor([0.9]), generators(1))
        counts = torch.bincount(numbers(sample)[0])
        held = counts[counts > 0]
        assert len(held) == memory.ring.size
        assert chisquare(held.numpy()).pvalue > 1e-3


def test_a_seeds_sample_depends_on_its_own_generator_alone() -> None:
    memory = Memory(3, 2, 20)
    memory.add(13, end_every=4)
    discount = torch.full((3,), 0.9)
    together = memory.ring.sample(50, 2, discount, generators(3))
    changed = memory.ring.sample(50, 2, discount, [*generators(2), torch.Generator().manual_seed(77)])
    for part, other in zip(together, changed, strict=True):
        assert torch.equal(part[:2], other[:2])
    assert not torch.equal(numbers(together)[2], numbers(changed)[2])
    alone = VectorRing(1, 2, 20, OBSERVATION, ACTION)
    for moved in memory.log:
        alone.add(*(part[1:2] for part in moved))
    for part, other in zip(together, alone.sample(50, 2, discount[:1], generators(1, base=1)), strict=True):
        assert torch.equal(part[1:2], other)


@pytest.mark.parametrize("added", [4, 6, 17])
def test_rows_and_restore_are_inverse(added: int) -> None:
    memory = Memory(2, 2, 12)
    memory.add(added, end_every=5)
    first = memory.ring.added - memory.ring.size
    middle = first + memory.ring.size // 2
    saved = [memory.ring.rows(first, middle), memory.ring.rows(middle, memory.ring.added)]
    assert saved[0].shape == (middle - first, 2, row_size(OBSERVATION, ACTION))
    copy = Memory(2, 2, 12)
    copy.ring.restore(first, saved[0])
    copy.ring.restore(middle, saved[1])
    assert (copy.ring.added, copy.ring.size) == (memory.ring.added, memory.ring.size)
    discount = torch.tensor([0.9, 0.9])
    for _ in range(2):  # As they are, and after both have gone on by the same transitions.
        ours, theirs = (m.ring.sample(100, 3, discount, generators(2)) for m in (memory, copy))
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        before = len(memory.log)
        memory.add(3)
        for moved in memory.log[before:]:
            copy.ring.add(*moved)


def test_rows_are_in_order_of_arrival_and_only_those_held() -> None:
    memory = Memory(1, 2, 8)
    memory.add(7)
    assert memory.ring.rows(6, 14)[:, 0, 0].tolist() == list(range(6, 14))
    assert memory.ring.rows(9, 11)[:, 0, 0].tolist() == [9, 10]
    for start, stop in [(5, 14), (6, 15), (12, 10)]:
        with pytest.raises(ValueError, match="are not held: 6 to 14 are"):
            memory.ring.rows(start, stop)


def test_what_is_saved_is_a_copy() -> None:
    memory = Memory(1, 1, 4)
    memory.add(4)
    saved = memory.ring.rows(0, 4)
    kept = saved.clone()
    memory.add(2)
    assert torch.equal(saved, kept)


def test_capacity_is_cut_to_whole_decisions_of_all_environments() -> None:
    assert VectorRing(1, 3, 10, OBSERVATION, ACTION).capacity == 9


def test_a_larger_ring_draws_the_same_as_long_as_neither_wraps() -> None:
    """What lets a run allocate no more than it can fill."""
    small, large = Memory(1, 2, 20), Memory(1, 2, 4_000)
    for memory in (small, large):
        memory.add(10, end_every=4)
    ours, theirs = (m.ring.sample(300, 3, torch.tensor([0.9]), generators(1)) for m in (small, large))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("environments", [1, 3])
@pytest.mark.parametrize("added", [5, 11])
def test_a_cut_ends_windows_and_changes_nothing_else(environments: int, added: int) -> None:
    """Where a run is forked or an environment was lost, no window goes on into what comes after."""
    memory = Memory(2, environments, 8 * environments)
    memory.add(added)
    held, first = min(added, 8) * environments, max(0, added - 8) * environments
    before = memory.ring.rows(first, first + held).clone()
    stop = (added - 2) * environments
    memory.ring.cut(stop)
    after = memory.ring.rows(first, first + held)
    changed = (before != after).nonzero().tolist()
    column = OBSERVATION + ACTION + 2
    cut = range(stop - environments - first, stop - first)
    assert changed == [[row, seed, column] for row in cut for seed in range(2)]
    sample = memory.ring.sample(500, 3, torch.full((2,), 0.9), generators(2))
    last = sample.next_observation[..., 0].neg() - 1
    crossing = (numbers(sample) < stop) & (last >= stop)
    assert not crossing.any()
    memory.ring.cut(first)  # What is no longer held is left alone.
    assert torch.equal(memory.ring.rows(first, first + held), after)
