"""Run directories that somebody damaged, or wrote by hand with seals that fit: a sentence and exit code 2, 3 or 4.

Every command that reads a run is tried on every doctoring; none ends in a traceback, blocks, or writes through a link.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import EVENTFUL, begin, last_json, stopped
from typer.testing import CliRunner

from composer.cli import app
from composer.tracking.records import Ended, StoredRun, Tracking, Upload
from composer.training.runs.disk import seal
from composer.training.runs.edited import sealed

COMMANDS = {
    "resume": ("resume", "RUN", "--json"),
    "evaluate": ("evaluate", "RUN", "--episodes", "1", "--json"),
    "digest": ("digest", "RUN", "--json"),
    "verify": ("verify", "RUN", "--json"),
    "sync": ("sync", "RUN"),
    "fork": ("fork", "RUN", "training.env_steps=101", "--runs", "OUT/forks", "--json"),
    "compare": ("compare", "RUN", "--json"),
    "retention": ("retention", "RUN", "--json"),
    "doctor": ("doctor", "RUN", "--at", "7", "--out", "OUT/doctor", "--json"),
}
MOST = ("resume", "digest", "verify", "sync", "fork", "compare")
"""Commands that read between them every file."""
DEEP = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "nested": lambda data: DEEP,
    "nested lists": lambda data: b"[" * 10_000,
    "a list": lambda data: b"[]",
    "null": lambda data: b"null",
    "not UTF-8": lambda data: b'{"a": "\xe9"}\xff',
    "not finite": lambda data: b'{"seeds": [NaN], "run_id": Infinity, "format": 1e999}',
    "huge": lambda data: b'{"run_id": ' + b"9" * 5_000 + b"}",
    "zeros": lambda data: bytes(4_096),
    "a long header": lambda data: b"\xff" * 8 + data[8:],
    "other types": lambda data: json.dumps({key: [{}] for key in WORDS}).encode(),
}
WORDS = (
    "run_id",
    "seeds",
    "name",
    "files",
    "format",
    "segments",
    "step",
    "uri",
    "source",
    "sent",
    "children",
    "sha256",
)
FILES = ("run.json", "blueprint.toml", "parameters.json", "journal.jsonl", "timing.jsonl", "lock", "saved",
         "checkpoints/step-000000000091/manifest.json", "checkpoints/step-000000000091/state.json",
         "checkpoints/step-000000000091/state.safetensors", "REPLAY",
         "tracking.json", "upload.json", "mlflow.json", "ended.json")  # fmt: skip


@pytest.fixture(scope="module")
def halted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stopped run that the faults share, with just so much before it that a row, a reading and all else is due."""
    return stopped(*begin(tmp_path_factory.mktemp("halted"), *EVENTFUL, "training.env_steps=100"), at=90)


@pytest.fixture
def run(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interrupted run that was tracked, whose store is away; the working folder is beside its runs directory."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Tracking("http://127.0.0.1:9", "blueprint", "composer", True, {}, {}).save(copy)
    Upload("http://127.0.0.1:9").save(copy)
    StoredRun("http://127.0.0.1:9", "1", "2", {"0": "3"}).save(copy)
    Ended("KILLED", 5).save(copy)
    monkeypatch.setattr("composer.tracking.uploader_process.upload", lambda *_, **__: _reads_all(copy))
    return copy


def _reads_all(run: Path) -> bool:
    """What the uploader reads, without a store."""
    from composer.tracking.delivery import JournalPoints, read_facts
    from composer.tracking.journal import JournalError
    from composer.tracking.points import Points
    from composer.tracking.records import RecordDamaged

    try:
        seeds = read_facts(run)["seeds"]
        for name in ("journal.jsonl", "timing.jsonl"):
            JournalPoints(run / name, Points(seeds), 0).pull(10**9)
    except (JournalError, RecordDamaged, OSError):
        return False
    return True


def replaced(run: Path, name: str) -> Path:
    """The file of the run with this name."""
    return sorted((run / "replay").iterdir())[-1] if name == "REPLAY" else run / name


def tried(run: Path, only: tuple[str, ...] = tuple(COMMANDS)) -> Iterator[tuple[str, int, str]]:
    """Every command on a copy of the run: its name, exit code and what it says."""
    for name in only:
        work = run.parent / f"try-{name}"
        shutil.copytree(run, work / "runs" / run.name, symlinks=True, ignore=_special)
        for path in run.rglob("*"):
            if path.is_fifo():
                os.mkfifo(work / "runs" / run.name / path.relative_to(run))
        words = {"RUN": str(work / "runs" / run.name), "OUT": str(work)}
        arguments = [text.replace("RUN", words["RUN"]).replace("OUT", words["OUT"]) for text in COMMANDS[name]]
        found = CliRunner().invoke(app, arguments)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise AssertionError(f"{name}: {found.exception!r}") from found.exception
        assert found.exit_code in (0, 2, 3, 4), (name, found.exit_code, found.stderr)
        if "--json" in arguments:
            assert isinstance(last_json(found.stdout), dict), name
        assert "Traceback" not in found.stderr and (found.stderr.strip() or found.exit_code == 0 or found.stdout), name
        yield name, found.exit_code, found.stderr
        shutil.rmtree(work)


def _special(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_fifo()]


def fifth_at_once(pairs: Sequence[tuple[str, str]]) -> list[Any]:
    """All of them; four of five are marked slow, for each tries six commands or more, and there are hundreds."""
    marks = [[], *[[pytest.mark.slow]] * 4]
    return [pytest.param(*pair, marks=marks[row % 5], id="-".join(pair)) for row, pair in enumerate(pairs)]


def some_pairs(keys: Sequence[str], values: Sequence[Any]) -> list[tuple[str, Any]]:
    """Every key with ``absent``, the first value, and with one other; each of the others with as many keys."""
    others = values[1:]
    return [(key, values[0]) for key in keys] + [(key, others[row % len(others)]) for row, key in enumerate(keys)]


PAIRS = [
    (name, content)
    for row, name in enumerate(FILES)
    for column, content in enumerate(CONTENTS)
    if (row + column) % 4 == 0 or name in ("run.json", "journal.jsonl")
]
"""Every content, in a quarter of the files; all of them in the two that most commands read."""


@pytest.mark.parametrize(("name", "content"), fifth_at_once(PAIRS))
def test_a_damaged_file_ends_every_command_with_a_sentence(name: str, content: str, run: Path) -> None:
    """Alone tries every damage in every file; a fifth of the pairs is tried at once."""
    path = replaced(run, name)
    path.write_bytes(CONTENTS[content](path.read_bytes()))
    codes = {command: code for command, code, _ in tried(run, tuple(COMMANDS) if name == "run.json" else MOST)}
    if name == "run.json":
        assert not {code for command, code in codes.items() if command != "verify"} & {0}
    if name.startswith("checkpoints"):
        assert codes["verify"] == 4


@pytest.mark.parametrize(
    ("kind", "name"), fifth_at_once([(kind, name) for name in FILES for kind in ("pipe", "device", "folder")])
)
def test_what_is_no_file_blocks_no_command(name: str, kind: str, run: Path) -> None:
    """Alone puts a pipe, a device and a folder in the place of every file; a fifth of the pairs is tried at once."""
    path = replaced(run, name)
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    for _ in tried(run, MOST):
        pass


def doctor_facts(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change ``run.json``, with seals that fit, in the checkpoints too."""
    facts = json.loads((run / "run.json").read_text())
    change(facts)
    facts = sealed(facts, facts.get("blueprint", {}))
    (run / "run.json").write_text(json.dumps(facts))
    doctor_manifests(run, lambda manifest: manifest.update(run=facts))


def doctor_manifests(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change every manifest, with sizes, hashes and seals that fit."""
    for path in run.glob("checkpoints/*/manifest.json"):
        manifest = json.loads(path.read_text())
        del manifest["sha256"]
        for name in manifest["files"]:
            data = (run / name).read_bytes()
            manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        change(manifest)
        path.write_text(json.dumps(manifest | {"sha256": seal(manifest)}))


FACTS = ("run_id", "name", "variant", "task", "algorithm", "seeds", "hash", "fingerprint", "device", "compiled",
         "compile_reason", "blueprint", "parameters_sha256", "git_commit")  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"), some_pairs(FACTS, ["absent", [{"a": [1]}], -1e300, {"a": {"b": None}}, "\ud800"]), ids=str
)
def test_doctored_facts_are_refused(key: str, value: Any, run: Path) -> None:
    def change(facts: dict[str, Any]) -> None:
        if value == "absent":
            facts.pop(key, None)
        else:
            facts[key] = value

    doctor_facts(run, change)
    for _ in tried(run, ("resume", "evaluate", "digest", "sync", "fork", "compare")):
        pass


MANIFESTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "files outside": lambda manifest: manifest["files"].update({"../../../etc/passwd": {"bytes": 1, "sha256": ""}}),
    "a device": lambda manifest: manifest["files"].update({"/dev/zero": {"bytes": 1, "sha256": ""}}),
    "no files": lambda manifest: manifest.pop("files"),
    "files of another type": lambda manifest: manifest.update(files=[1]),
    "sizes of another type": lambda manifest: manifest.update(files={"a": 1}),
    "segments of another type": lambda manifest: manifest.update(segments={"a": 1}),
    "a segment of three": lambda manifest: manifest.update(segments=[[1, 2, 3]]),
    "a segment below zero": lambda manifest: manifest.update(segments=[[-5, 2]]),
    "a segment without a file": lambda manifest: manifest.update(segments=[[0, 2**70]]),
    "no segments": lambda manifest: manifest.update(segments=[]),
    "no step": lambda manifest: manifest.pop("step"),
    "step of another type": lambda manifest: manifest.update(step="x"),
    "format of another type": lambda manifest: manifest.update(format=[1]),
    "another run": lambda manifest: manifest.update(run=5),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_doctored_manifests_are_refused(kind: str, run: Path) -> None:
    doctor_manifests(run, MANIFESTS[kind])
    codes = {command: code for command, code, _ in tried(run, ("digest", "resume", "evaluate", "fork", "verify"))}
    assert 0 not in {codes["digest"], codes["verify"]} or kind in ("no segments", "another run")


VALUES = ("interactions", "journal_offset", "returns", "diagnostics", "replay_start", "replay_added", "*")


@pytest.mark.parametrize(
    ("key", "value"), some_pairs(VALUES, ["absent", [{"a": [1]}], -7, 2**80, {"a": None}]), ids=str
)
def test_doctored_values_are_refused(key: str, value: Any, run: Path) -> None:
    for path in run.glob("checkpoints/*/state.json"):
        values = json.loads(path.read_text())
        for each in list(values) if key == "*" else [key]:
            if value == "absent":
                values.pop(each, None)
            else:
                values[each] = value
        path.write_text(json.dumps(values))
    doctor_manifests(run, lambda manifest: None)
    for _ in tried(run, ("digest", "resume", "fork")):
        pass


TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor | None]] = {
    "absent": lambda tensor: None,
    "of another shape": lambda tensor: torch.zeros(3, 1, 4, 1, 5),
    "of another type": lambda tensor: torch.zeros_like(tensor, dtype=torch.int8),
    "empty": lambda tensor: torch.zeros(0),
}


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("part", ["networks/", "random/", "optimizers/", "environment/", "diagnostics/", "rows"])
def test_doctored_tensors_are_refused(kind: str, part: str, run: Path) -> None:
    where = "replay/*.safetensors" if part == "rows" else "checkpoints/*/state.safetensors"
    for path in run.glob(where):
        found = {
            name: TENSORS[kind](tensor) if name.startswith(part) else tensor for name, tensor in load_file(path).items()
        }
        save_file({name: tensor for name, tensor in found.items() if tensor is not None}, path)
    doctor_manifests(run, lambda manifest: None)
    for _ in tried(run, ("digest", "resume", "fork")):
        pass


ROWS: dict[str, Any] = {
    "no type": {},
    "no step": {"type": "metrics", "seed": 0, "metrics": {"a": 1.0}},
    "no metrics": {"type": "metrics", "env_step": 60, "seed": 0},
    "metrics of another type": {"type": "metrics", "env_step": 60, "seed": 0, "metrics": [1]},
    "a list for a number": {"type": "metrics", "env_step": 60, "seed": 0, "metrics": {"evaluation/return": [1]}},
    "an unknown word": {"type": "metrics", "env_step": 60, "seed": 0, "metrics": {"evaluation/return": "much"}},
    "a huge integer": {"type": "metrics", "env_step": 60, "seed": 0, "metrics": {"evaluation/return": 10**400}},
    "a huge step": {"type": "metrics", "env_step": 2**70, "seed": 0, "metrics": {"evaluation/return": 1}},
    "a step of another type": {"type": "metrics", "env_step": "x", "seed": 0, "metrics": {"evaluation/return": 1}},
    "an unknown seed": {"type": "metrics", "env_step": 60, "seed": 77, "metrics": {"evaluation/return": 1}},
    "a seed of another type": {"type": "metrics", "env_step": 60, "seed": [0], "metrics": {"evaluation/return": 1}},
    "an event without a name": {"type": "event", "env_step": 60, "seed": 0},
    "an event of another type": {"type": "event", "env_step": 60, "name": {"a": 1}},
    "a name of another type": {"type": "metrics", "env_step": 60, "seed": 0, "metrics": {"": 1, "\ud800": 2}},
    "a time of another type": {"type": "timing", "env_step": 60, "seed": None, "metrics": {}, "time": "x"},
    "not finite": {"type": "event", "env_step": 60, "name": "x", "data": {"$float": "much"}},
    "nested": {"type": "event", "env_step": 60, "name": "x", "data": "DEEP"},
}


@pytest.mark.parametrize(
    ("name", "kind"), fifth_at_once([(name, kind) for kind in ROWS for name in ("journal.jsonl", "timing.jsonl")])
)
def test_doctored_rows_end_no_command_in_a_traceback(kind: str, name: str, run: Path) -> None:
    """Alone doctors rows of both journals in every way; a fifth of the pairs is tried at once."""
    rows = (run / name).read_bytes().splitlines(keepends=True)
    body = json.dumps({"seq": 1, **ROWS[kind]}).replace('"DEEP"', "[" * 10_000 + "]" * 10_000).encode()
    (run / name).write_bytes(b"".join([b"%08x %b\n" % (crc32(body), body), *rows[1:]]))
    for _ in tried(run, ("resume", "verify", "sync", "fork", "compare", "retention")):
        pass


LINKS = ("journal.jsonl", "timing.jsonl", "lock", "run.json", "saved", "uploader.log", "upload.lock", "upload.json",
         "profile.json", "compile.log", "checkpoints", "replay", "checkpoints/.tmp-step-000000000120",
         "replay/x")  # fmt: skip


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("target", ["file", "missing", "folder"])
def test_nothing_is_written_through_a_link(name: str, target: str, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "folder").mkdir(parents=True)
    (out / "file").write_text("theirs")
    path = run / name
    if path.is_dir():
        shutil.move(path, out / "folder" / "moved")
    elif path.exists() and target == "file":
        shutil.copy(path, out / "file")
    path.unlink(missing_ok=True) if not path.is_dir() else None
    path.symlink_to(out / (target if not (out / "folder" / "moved").exists() else "folder/moved"))
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    found = {command: (code, said) for command, code, said in tried(run, ("resume", "sync"))}
    for code, said in found.values():
        assert code in (2, 3) and (code == 2 or "link" in said or "no run directory" in said), (code, said)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
