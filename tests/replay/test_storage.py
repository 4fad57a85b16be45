"""Where replay lies changes no number on a CPU; files go, however a process ends; a full disk is told."""

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
from tiny_replays import CAPACITY, COPIES, PICTURES, SEEDS, VECTORS, fill, maps
from tiny_runs import ALONE, COMMAND, EVENTFUL, TINY, begin, finished, go_on, result, resumed, stopped
from torch import Tensor

from composer.environments.interface import EnvironmentInfo
from composer.replay.ring import Ring
from composer.replay.storage import Storage
from composer.training import assemble
from composer.training.collect.build import make_ring
from composer.training.runs.directory import read_blueprint

KINDS = ("device", "host", "disk")


def drawn(ring: Ring) -> list[Tensor]:
    """All that can be asked of a ring."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]
    indices, discount = ring.indices(16, generators), torch.tensor([0.9, 0.8])
    lengths = torch.tensor([3.0, 2.0])
    return [
        *ring.windows(indices, 3, discount, lengths),
        *ring.sample(16, 1, discount, generators),
        *ring.newest(9, 2, discount),
        *ring.future(indices, 3).values(),
        ring.ended(indices),
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
    """Alone proves that a replay's file goes with its process."""
    code = (
        "import os, sys, signal, torch\nfrom pathlib import Path\nfrom composer.replay.storage import Storage\n"
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


@pytest.mark.slow
def test_a_killed_run_on_disk_ends_as_one_in_memory_that_nobody_killed(tmp_path: Path) -> None:
    """Alone proves exact resume of a replay on disk after SIGKILL."""
    short = ("evaluation.every=80", "evaluation.episodes=1", "checkpoint.every=200", "training.log_every=40")
    run, _ = finished(tmp_path / "whole", *short)
    command = [*COMMAND, "train", str(TINY), *short, "replay.storage=disk", "--runs", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ALONE)
    assert process.stderr is not None
    for _ in range(4):
        while " steps (" not in process.stderr.readline():
            assert process.poll() is None
    process.kill()
    process.communicate()
    assert process.returncode == -9
    (killed,) = (tmp_path / "killed").iterdir()
    left = {path.suffix for path in killed.rglob("*") if path.is_file()}
    assert left <= {"", ".json", ".jsonl", ".toml", ".safetensors"}
    subprocess.run([*COMMAND, "resume", str(killed)], env=ALONE, capture_output=True, check=True)
    assert result(killed) == result(run)


@pytest.mark.slow
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
    path = stopped(*assemble.start(read_blueprint(run.path), tmp_path / "stopped", None), 97)
    assert result(resumed(path)) == found[0]


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
