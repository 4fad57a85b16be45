"""Where replay lies changes no number on a CPU; files go; what has no room is refused; a GPU is sent whole batches."""

from __future__ import annotations

import errno
import gc
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_dqn
import torch
from tiny_runs import ALONE, EVENTFUL, begin, finished, go_on, learner, result, resumed, state_digest, stopped
from torch import Tensor

from composer import assemble, forking
from composer.collectors import placing
from composer.collectors.memory import Memory
from composer.collectors.placing import Place, place, recorded
from composer.environments.base import EnvironmentInfo
from composer.experience.make import make_ring
from composer.experience.ring import Ring
from composer.experience.storage import Courier, Storage
from composer.forking import begin as beginning
from composer.launch import exit_code
from composer.sampling import Uniform

SEEDS, COPIES, CAPACITY = 2, 3, 24
KINDS = ("device", "host", "disk")
VECTORS = EnvironmentInfo((5,), 2, 100, 1, terminates=True)
PICTURES = EnvironmentInfo((4, 3, 3), 2, 100, 1, terminates=True, pictures=True, stacked_frames=2)


def fill(ring: Ring, info: EnvironmentInfo, times: int) -> None:
    """Episodes that end now and then, so that pictures have seams; the same for every ring."""
    random = torch.Generator().manual_seed(1)

    def seen() -> Tensor:
        if info.pictures:
            return torch.randint(256, (SEEDS, COPIES, *info.observation), generator=random, dtype=torch.uint8)
        return torch.randn(SEEDS, COPIES, *info.observation, generator=random)

    observation = seen()
    for _ in range(times):
        action = torch.randn(SEEDS, COPIES, 2, generator=random)
        reward, draw = torch.randn(2, SEEDS, COPIES, generator=random)
        final = torch.cat([observation[:, :, 2:], seen()[:, :, 2:]], 2) if info.pictures else seen()
        terminated, truncated = draw > 1.2, draw < -1.2
        ring.add(observation, action, reward, terminated, truncated, final)
        over = (terminated | truncated).view(SEEDS, COPIES, *[1] * len(info.observation))
        observation = torch.where(over, seen(), final)


def drawn(ring: Ring) -> list[Tensor]:
    """All that can be asked of a ring."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]
    picks, discount = ring.picks(16, generators), torch.tensor([0.9, 0.8])
    lengths = torch.tensor([3.0, 2.0])
    return [
        *ring.windows(picks, 3, discount, lengths),
        *ring.sample(16, 1, discount, generators),
        *ring.newest(9, 2, discount),
        *ring.future(picks, 3).values(),
        ring.ended(picks),
        ring.rows(ring.added - ring.size, ring.added),
        *ring.tensors().values(),
    ]


@pytest.mark.parametrize("times", [5, 8, 37])
@pytest.mark.parametrize("info", [VECTORS, PICTURES], ids=["vectors", "pictures"])
def test_a_ring_on_disk_equals_one_in_memory(info: EnvironmentInfo, times: int, tmp_path: Path) -> None:
    rings = [make_ring(info, SEEDS, COPIES, CAPACITY, "cpu", Storage("cpu", kind, tmp_path)) for kind in KINDS]
    for ring in rings:
        fill(ring, info, times)
    mine, *others = map(drawn, rings)
    for other in others:
        assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(mine, other, strict=True))
    # And one that is put together from what another held.
    restored = make_ring(info, SEEDS, COPIES, CAPACITY, "cpu", Storage("cpu", "disk", tmp_path))
    start = rings[0].added - rings[0].size
    restored.restore(start, rings[0].rows(start, rings[0].added))
    restored.load(rings[0].tensors())
    assert all(torch.equal(a, b) for a, b in zip(mine, drawn(restored), strict=True))


def maps(folder: Path) -> int:
    """Files without a name on the disk of a folder that this process has mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sum(str(folder) in line and line.endswith("(deleted)") for line in lines)


def test_what_is_large_lies_in_a_file_that_has_no_name_and_goes(tmp_path: Path) -> None:
    for info in (VECTORS, PICTURES):
        ring = make_ring(info, SEEDS, COPIES, CAPACITY, "cpu", Storage("cpu", "disk", tmp_path))
        assert maps(tmp_path) == 1
        assert not [*tmp_path.iterdir()]
        del ring
        gc.collect()
        assert maps(tmp_path) == 0
    make_ring(VECTORS, SEEDS, COPIES, CAPACITY, "cpu", Storage("cpu", "host"))
    assert maps(tmp_path) == 0
    with pytest.raises(ValueError, match="needs a folder"):
        Storage("cpu", "disk")


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import os, sys, signal, torch\nfrom pathlib import Path\nfrom composer.experience.storage import Storage\n"
        "rows = Storage('cpu', 'disk', Path(sys.argv[1])).empty((1 << 20,), torch.float32).fill_(1)\n"
        "assert sys.argv[1] in Path('/proc/self/maps').read_text()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=ALONE, capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
    assert not [*tmp_path.iterdir()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """What a run leaves whose replay lies where updates run."""
    run, _ = finished(tmp_path_factory.mktemp("whole"), *EVENTFUL)
    return result(run)


@pytest.mark.parametrize("kind", ["host", "disk"])
def test_equal_blueprints_give_equal_runs_wherever_replay_lies(
    kind: str, whole: tuple[str, bytes], tmp_path: Path
) -> None:
    run, parts = finished(tmp_path, *EVENTFUL, f"replay.storage={kind}")
    assert result(run) == whole
    assert maps(run) == (kind == "disk")
    facts = json.loads((run / "run.json").read_text())
    assert (facts["replay_storage"], facts["replay_reason"]) == (kind, f"replay.storage is '{kind}'")
    del parts
    gc.collect()
    assert maps(run) == 0


@pytest.mark.parametrize("at", [12, 79, 117])
def test_a_stopped_run_on_disk_goes_on_as_if_never_stopped(at: int, whole: tuple[str, bytes], tmp_path: Path) -> None:
    run = stopped(*begin(tmp_path, *EVENTFUL, "replay.storage=disk"), at)
    # Only segments are kept: of files that are scratch nothing is left.
    assert all(path.name.startswith("rows-") for path in (run / "replay").iterdir())
    assert result(resumed(run)) == whole


def test_rainbow_on_disk_equals_rainbow_in_memory(tmp_path: Path) -> None:
    """Prioritised draws, pictures, a ring that wraps."""
    found = []
    for kind in ("device", "disk"):
        run, parts = assemble.start(tiny_dqn.tiny(*tiny_dqn.RAINBOW, f"replay.storage={kind}"), tmp_path / kind, None)
        go_on(parts)
        run.close()
        assert maps(run.path) == (kind == "disk")
        found.append(result(run.path))
    assert found[0] == found[1]
    path = stopped(*assemble.start(parts.blueprint, tmp_path / "stopped", None), 97)
    assert result(resumed(path)) == found[0]


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
            parts.collector.replay._storage.courier = courier = Courier("cpu")  # type: ignore[attr-defined]
            send, sent = courier.send, []
            monkeypatch.setattr(
                courier, "send", lambda tensors, send=send, sent=sent: [sent.append(1), send(tensors)][1]
            )
        go_on(parts)
        run.close()
        digests.append(state_digest(run.path))
    assert digests[0] == digests[1]
    assert len(sent) >= parts.clock.updates > 30, "one transfer an update"


def test_a_uniform_draw_reads_nothing_that_updates_write() -> None:
    agent = learner("seeds=[0, 5]")
    memory = Memory(make_ring(VECTORS, SEEDS, COPIES, CAPACITY, "cpu"), Uniform(), 0, agent)
    fill(memory.ring, VECTORS, 5)
    generators = [generator.get_state() for generator in agent.replay_generators]
    expected = memory.draw()
    for generator, state in zip(agent.replay_generators, generators, strict=True):
        generator.set_state(state)
    memory._discount = memory._discount.clone()  # What stands on the host where a GPU learns.
    agent.discount, agent.updates = None, None  # type: ignore[assignment]
    assert all(torch.equal(a, b) for a, b in zip(expected.transitions, memory.draw().transitions, strict=True))


def test_weights_are_those_of_the_slots_that_are_drawn() -> None:
    blueprint = tiny_dqn.tiny("seeds=[0, 5]", 'replay.sampling={ kind = "prioritised", correction = 1.0 }')
    agent = tiny_dqn.learner("seeds=[0, 5]")
    memory = Memory(make_ring(VECTORS, SEEDS, COPIES, CAPACITY, "cpu"), blueprint.replay.sampling, 0, agent)
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
    inverse = 1 / likely.gather(1, memory._picks)
    torch.testing.assert_close(weights, (inverse / inverse.amax(1, keepdim=True)).float())


def test_slots_are_drawn_where_rows_lie_from_the_same_seeds() -> None:
    agent, other = learner("seeds=[0, 5]"), learner("seeds=[0, 5]")
    own = agent.replay_generators
    agent.draw_on("cpu")
    assert agent.replay_generators is own
    other.device = "elsewhere"
    before = other.replay_generators
    Memory(make_ring(VECTORS, SEEDS, COPIES, CAPACITY, "cpu"), Uniform(), 0, other)
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
    courier = Courier("cpu")
    arrived = [courier.send(mixed(scale)) for scale in range(5)]
    arrived.append(courier.send([part[:1] for part in mixed(5)]))
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
    courier, waited = Courier("cpu"), []
    copies = []
    for scale in range(6):
        courier.send(mixed(scale))
        # The batch before last has been waited for, the last one not.
        assert waited == copies[: max(scale - 1, 0)]
        copies.append(Copy(waited))
        courier._blocks[0]._copied = copies[-1]  # type: ignore[assignment]


GIB = 2**30


@pytest.mark.parametrize(
    ("device", "free", "memory", "found"),
    [
        ("cpu", 1, 1, "device"),
        ("cpu", 1e-6, 1, "disk"),
        ("cuda", 1, 1e-6, "device"),
        ("cuda", 1e-6, 1, "host"),
        ("cuda", 1e-6, 1e-6, "disk"),
    ],
)
def test_auto_takes_the_first_place_that_has_room(
    device: str, free: float, memory: float, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "_free", lambda device: int(free * GIB))
    monkeypatch.setattr(placing, "available_bytes", lambda: int(memory * GIB))
    blueprint = tiny_dqn.tiny()
    assert place(blueprint, device, tmp_path).storage == found
    numbers = place(blueprint, device, tmp_path).decides(device)
    assert bool(numbers) == (device == "cuda" and found != "device")
    asked = tiny_dqn.tiny("replay.storage=host")
    assert place(asked, device, tmp_path) == Place("host", "replay.storage is 'host'")


def test_numbers_that_follow_from_the_place_are_part_of_the_provenance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = []
    for found in ({}, {}, {"batches_drawn_on": "cpu"}):
        monkeypatch.setattr(Place, "decides", lambda place, device, found=found: found)
        run, parts = begin(tmp_path, *EVENTFUL)
        hashes.append(run.facts["hash"])
        parts.close()
        run.close()
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_run_too_short_to_fill_its_replay_is_placed_by_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "available_bytes", lambda: GIB)
    assert place(tiny_dqn.tiny("replay.capacity=1_000_000_000"), "cpu", tmp_path).storage == "device"
    long = ("replay.capacity=1_000_000_000", "training.env_steps=100_000_000")
    with pytest.raises(OSError, match=r"too much for 1\.00 GiB of memory"):
        monkeypatch.setattr(placing, "disk_bytes", lambda _: 10)
        place(tiny_dqn.tiny(*long), "cpu", tmp_path)


def test_a_resumed_run_does_not_choose_again(
    whole: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "available_bytes", lambda: 20_000)
    run, parts = begin(tmp_path, *EVENTFUL)
    assert run.facts["replay_storage"] == "disk"
    assert re.match(r".* are too much for .* of memory that are free", run.facts["replay_reason"])
    path = stopped(run, parts, 70)
    del parts
    gc.collect()
    monkeypatch.setattr(placing, "available_bytes", lambda: GIB)
    run, parts, _ = assemble.resume(path)
    assert maps(path) == 1
    go_on(parts)
    run.close()
    assert result(path) == whole
    assert recorded({}).storage == "device", "runs that were made before there was a choice"


def test_too_little_disk_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "disk_bytes", lambda _: 2_048)
    runs = tmp_path / "runs"
    said = (
        f"replay.capacity: the replay needs 6.02 KiB on disk (replay.storage is 'disk'), and {runs} has 2.00 KiB left"
    )
    with pytest.raises(OSError, match=re.escape(said)) as refused:
        begin(runs, *EVENTFUL, "replay.storage=disk")
    assert exit_code(refused.value) == 7
    assert not runs.exists()
    # Segments of checkpoints are no replay on disk: other runs are not asked.
    run, parts = begin(runs, *EVENTFUL)
    parts.close()
    run.close()


def test_a_disk_that_fills_up_meanwhile_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=re.escape(f"{tmp_path}: 1.2e+18 bytes of replay cannot be kept here: ")):
        Storage("cpu", "disk", tmp_path).empty((2**30, 2**30), torch.uint8)
    assert not [*tmp_path.iterdir()]


def test_room_is_reserved_so_that_a_full_disk_ends_no_run_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        assert (offset, size) == (0, 4 * 6)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=re.escape("cannot be kept here: No space left on device")):
        Storage("cpu", "disk", tmp_path).empty((2, 3), torch.float32)


def test_a_fork_that_draws_elsewhere_says_that_its_stream_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU's generator keeps is 16 bytes, and no CPU's can go on from them."""
    monkeypatch.setattr(placing, "available_bytes", lambda: 20_000)
    path, parts = finished(tmp_path / "runs", *EVENTFUL)
    monkeypatch.setattr(placing, "available_bytes", lambda: GIB)
    origin = beginning.read_origin(path, None)
    tensors = {**origin.snapshot.tensors, "random/replay/5": torch.zeros(16, dtype=torch.uint8)}
    origin.snapshot.tensors = tensors
    monkeypatch.setattr(beginning, "read_origin", lambda *_: origin)
    longer = parts.blueprint.model_copy(
        update={"training": parts.blueprint.training.model_copy(update={"env_steps": 150})}
    )
    run, fork, notes = forking.fork(path, longer, None, 0, tmp_path / "forks")
    assert "fresh, for the checkpoint has none: random/replay/5" in notes
    assert run.facts["replay_storage"] == "disk", "as its origin's, though there is room by now"
    go_on(fork)
    run.close()
