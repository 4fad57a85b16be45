"""Batches of a replay on the host arrive as they were made, and making them waits for nothing that updates write."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_dqn
import torch
from tiny_replays import CAPACITY, COPIES, SEEDS, VECTORS, fill
from tiny_runs import DRIFT, EAGER, go_on, learner, state_digest, tiny
from torch import Tensor

from composer.replay.sampling import Uniform
from composer.replay.storage import HostToDevice, Storage
from composer.training import assemble
from composer.training.collect.build import make_ring
from composer.training.collect.off_policy import ReplayMemory
from composer.training.learner import Learner


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vectors", "rainbow", "spr"])
def test_batches_that_are_sent_are_those_that_are_not(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learner on a CPU behind the boundary that a GPU is behind."""
    families = {"vectors": (), "rainbow": tiny_dqn.RAINBOW, "spr": tiny_dqn.SPR}
    blueprint = tiny_dqn.tiny(*families[name], "seeds=[0, 5]")
    digests = []
    for is_sent in (False, True):
        run, parts = assemble.start(blueprint, tmp_path / str(is_sent), None)
        if is_sent:
            parts.collector.replay._storage.transfer = transfer = HostToDevice("cpu")  # type: ignore[attr-defined]
            send, sent = transfer.send, []
            monkeypatch.setattr(
                transfer, "send", lambda tensors, send=send, sent=sent: [sent.append(1), send(tensors)][1]
            )
        go_on(parts)
        run.close()
        digests.append(state_digest(run.path))
    assert digests[0] == digests[1]
    assert len(sent) >= parts.clock.updates > 30, "one transfer an update"


def test_a_uniform_draw_reads_nothing_that_updates_write() -> None:
    agent = learner("seeds=[0, 5]")
    memory = ReplayMemory(make_ring(VECTORS, SEEDS, COPIES, CAPACITY, "cpu"), Uniform(), 0, agent)
    fill(memory.ring, VECTORS, 5)
    generators = [generator.get_state() for generator in agent.replay_generators]
    expected = memory.draw()
    for generator, state in zip(agent.replay_generators, generators, strict=True):
        generator.set_state(state)
    memory._discount = memory._discount.clone()  # What stands on the host where a GPU learns.
    agent.horizon.discount, agent.updates = None, None  # type: ignore[assignment]
    assert all(torch.equal(a, b) for a, b in zip(expected.transitions, memory.draw().transitions, strict=True))


def test_weights_are_those_of_the_slots_that_are_drawn() -> None:
    blueprint = tiny_dqn.tiny("seeds=[0, 5]", 'replay.sampling={ kind = "prioritised", correction = 1.0 }')
    agent = tiny_dqn.learner("seeds=[0, 5]")
    memory = ReplayMemory(make_ring(VECTORS, SEEDS, COPIES, CAPACITY, "cpu"), blueprint.replay.sampling, 0, agent)
    random = torch.Generator().manual_seed(2)
    for _ in range(3):
        shape = (SEEDS, COPIES)
        flags = torch.zeros(2, *shape, dtype=torch.bool)
        memory.add(torch.zeros(*shape, 5), torch.zeros(*shape, 2), torch.zeros(shape), *flags, torch.zeros(*shape, 5))
    errors = torch.rand(SEEDS, 9, generator=random)
    assert memory._priorities is not None
    memory._priorities.report(torch.arange(9).expand(SEEDS, -1), errors)
    weights = memory.draw().extra["weight"]
    likely = (errors.double() + 1e-10).sqrt()
    inverse = 1 / likely.gather(1, memory._slots)
    torch.testing.assert_close(weights, (inverse / inverse.amax(1, keepdim=True)).float())


def test_slots_are_drawn_where_rows_lie_from_the_same_seeds() -> None:
    agent, other = learner("seeds=[0, 5]"), learner("seeds=[0, 5]")
    own = agent.replay_generators
    agent.draw_on("cpu")
    assert agent.replay_generators is own
    other.device = "elsewhere"
    before = other.replay_generators
    ReplayMemory(make_ring(VECTORS, SEEDS, COPIES, CAPACITY, "cpu"), Uniform(), 0, other)
    assert other.replay_generators is not before
    assert [g.initial_seed() for g in other.replay_generators] == [g.initial_seed() for g in own]
    assert other.generators()["replay/5"] is other.replay_generators[1], "it is what a checkpoint keeps"


def mixed(scale: int) -> list[Tensor]:
    """Types and strides as batches have them."""
    rows = torch.arange(2 * 3 * 7.0).view(2, 3, 7) * scale
    return [
        rows[..., 1:4],
        rows[..., 4],
        torch.full((2, 3, 5), scale, dtype=torch.uint8),
        torch.full((2, 3), scale / 7, dtype=torch.float64),
        torch.tensor([[True, False, bool(scale % 2)]]),
        torch.zeros(2, 0),
    ]


def test_what_is_sent_arrives_and_stays() -> None:
    transfer = HostToDevice("cpu")
    arrived = [transfer.send(mixed(scale)) for scale in range(5)]
    arrived.append(transfer.send([part[:1] for part in mixed(5)]))
    expected = [*map(mixed, range(5)), [part[:1] for part in mixed(5)]]
    for found, wanted in zip(arrived, expected, strict=True):
        assert [(each.dtype, each.shape) for each in found] == [(each.dtype, each.shape) for each in wanted]
        assert all(torch.equal(a, b) and a.is_contiguous() for a, b in zip(found, wanted, strict=True))


class Copy:
    """In the place of a GPU's event: the copy is done once somebody has waited."""

    def __init__(self, waited: list[Copy]) -> None:
        self._waited = waited

    def synchronize(self) -> None:
        self._waited.append(self)


def test_a_block_is_not_written_before_it_has_been_copied() -> None:
    transfer, waited = HostToDevice("cpu"), []
    copies = []
    for scale in range(6):
        transfer.send(mixed(scale))
        # The batch before last has been waited for, the last one not.
        assert waited == copies[: max(scale - 1, 0)]
        copies.append(Copy(waited))
        transfer._blocks[0]._copied = copies[-1]  # type: ignore[assignment]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_draws_for_a_gpu_wait_for_nothing_and_arrive() -> None:
    blueprint = tiny(DRIFT, "seeds=[0, 5]")
    agent = Learner(blueprint.agent, "cuda", EAGER)
    ring = make_ring(VECTORS, SEEDS, COPIES, CAPACITY, "cuda", Storage("cuda", "host"))
    memory = ReplayMemory(ring, Uniform(), 0, agent)
    fill(ring, VECTORS, 5)
    for _ in range(3):  # Blocks are made.
        memory.draw()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = memory.draw().transitions
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = ring.windows(memory._slots, agent.n_step, agent.discount)
    assert all(each.device.type == "cuda" for each in found)
    assert all(torch.equal(a.cpu(), b) for a, b in zip(found, expected, strict=True))
    assert all(generator.device.type == "cpu" for generator in agent.replay_generators)
