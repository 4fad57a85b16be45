"""Checkpoints in safetensors and JSON: staged, hashed, renamed. The replay is saved in segments, each written once.

    RUN/checkpoints/step-000000050000/   see composer.training.runs.state_folder
    RUN/checkpoints/best-000000030000/   see composer.training.runs.best
    RUN/replay/rows-000000000000-000000012500.safetensors
    RUN/saved                                an empty file, since the first checkpoint

A checkpoint is complete or absent: a kill at any instant leaves at most a ``.tmp-`` folder or an unreferenced segment,
which the next save sweeps. No pickle anywhere. Tests: tests/faults/test_checkpoint.py.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from composer.spec.run_files import read_table, write_text
from composer.training.runs.best import BestAgents
from composer.training.runs.disk import flush_to_disk, size_and_hash
from composer.training.runs.edited import RunEdited, check_record
from composer.training.runs.snapshot import Segment as Segment
from composer.training.runs.snapshot import Snapshot as Snapshot
from composer.training.runs.state_files import CheckpointDamaged as CheckpointDamaged
from composer.training.runs.state_files import load_tensors, write_tensors
from composer.training.runs.state_folder import (
    FORMAT,
    damages_in,
    load_state,
    read_manifest,
    sweep,
    verified,
    write_folder,
)
from composer.training.runs.state_folder import OtherFormat as OtherFormat

SAVED = "saved"
"""An empty file of a run that has saved a checkpoint: without it, a run without checkpoints starts from step 0."""
_STEP = re.compile(r"step-(\d{12})")


class Checkpoints:
    """The checkpoints of one run directory."""

    def __init__(self, run: Path, keep: int = 2, facts: Mapping[str, Any] | None = None) -> None:
        """Keep the newest ``keep`` checkpoints, at least 2.

        Each holds a copy of ``facts``, the content of ``run.json``; one that was saved under others is not loaded.
        """
        self.run, self._keep, self._facts = run, max(keep, 2), facts
        self._root, self._replay = run / "checkpoints", run / "replay"
        self.best = BestAgents(run, facts)
        self._hashed: dict[str, dict[str, Any]] = {}
        """Sizes and hashes of segments by path in the run: each is hashed once, when written or first verified."""

    @property
    def were_saved(self) -> bool:
        """Whether the run has saved a checkpoint, which may have been removed since."""
        return (self.run / SAVED).exists() or bool(self.steps())

    def steps(self) -> list[int]:
        """Environment steps of the checkpoints, oldest first."""
        found = (_STEP.fullmatch(entry.name) for entry in self._root.iterdir()) if self._root.is_dir() else ()
        return sorted(int(match[1]) for match in found if match)

    def are_complete(self, env_steps: int) -> bool:
        """Whether the run has been saved after its last step, and after its last evaluation."""
        steps = self.steps()
        if not steps or steps[-1] < env_steps:
            return False
        try:
            return "is_evaluating" not in read_table(self.folder(steps[-1]) / "state.json")
        except (OSError, ValueError):
            return False

    def folder(self, step: int) -> Path:
        """The folder of the checkpoint of an environment step."""
        return self._root / f"step-{step:012d}"

    def listed(self) -> str:
        """The steps of the checkpoints, for people."""
        steps = ", ".join(f"{step:,}" for step in self.steps())
        return f"there are {steps}" if steps else "there is none at all"

    def adopt(self, other: Checkpoints, snapshot: Snapshot) -> None:
        """Take over the replay segments of another run's snapshot, by links: segments never change."""
        for segment in snapshot.segments:
            source, target = other._replay / segment.name, self._replay / segment.name
            self._replay.mkdir(exist_ok=True)
            try:
                os.link(source, target)
            except OSError:  # Another file system, or one without links.
                shutil.copyfile(source, target)
            flush_to_disk(target)
            self._hashed[f"replay/{segment.name}"] = other._hashed[f"replay/{segment.name}"]
        if snapshot.segments:
            flush_to_disk(self._replay)

    def append_rows(self, start: int, rows: Tensor) -> Segment:
        """Write replay rows ``[n, S, row]`` as a segment; never overwrites a finished file."""
        segment = Segment(start, start + rows.shape[0])
        self._replay.mkdir(exist_ok=True)
        staged = self._replay / f".tmp-{segment.name}"
        write_tensors({"rows": rows.contiguous()}, staged)
        flush_to_disk(staged)
        self._hashed[f"replay/{segment.name}"] = size_and_hash(staged)
        staged.rename(self._replay / segment.name)
        flush_to_disk(self._replay)
        return segment

    def save(self, step: int, snapshot: Snapshot) -> Path:
        """Stage, hash, fsync, rename and read back; only then delete older checkpoints."""
        self._root.mkdir(exist_ok=True)
        sweep(self._root)
        final = self.folder(step)
        segments = [f"replay/{segment.name}" for segment in snapshot.segments]
        facts: dict[str, Any] = {"step": step, "segments": [[s.start, s.stop] for s in snapshot.segments]}
        if self._facts is not None:
            facts["run"] = self._facts
        write_folder(final, snapshot, facts, {name: self._hashed[name] for name in segments})
        verified(self.run, final, rows_too=False)
        write_text(self.run / SAVED, "")
        sweep(self._root)
        self._prune()
        return final

    def load(self, at: int | None = None) -> Snapshot:
        """The newest checkpoint whose every file is as it was written, or that of environment step ``at``.

        Raises CheckpointDamaged where there is none, OtherFormat for one of another composer, and RunEdited where it
        was saved under another ``run.json``.
        """
        skipped: list[str] = []
        steps = self.steps()
        if at is not None and at not in steps:
            raise CheckpointDamaged(f"no checkpoint of environment step {at:,} in {self._root}; {self.listed()}")
        for step in reversed(steps if at is None else [at]):
            path = self.folder(step)
            try:
                manifest = verified(self.run, path)
                self._check_run(path, manifest)
                self._hashed |= {name: entry for name, entry in manifest["files"].items() if name.startswith("replay/")}
                segments = tuple(Segment(*bounds) for bounds in manifest["segments"])
                return replace(load_state(path), segments=segments, skipped=skipped)
            except OtherFormat:
                raise
            except CheckpointDamaged as damage:
                skipped.append(str(damage))
        raise CheckpointDamaged("; ".join(skipped) if skipped else f"no checkpoint in {self._root}")

    def discard_after(self, step: int) -> None:
        """Remove checkpoints newer than ``step``, and best agents: they are damaged or will be written again."""
        for newer in self.steps():
            if newer > step:
                shutil.rmtree(self.folder(newer))
        self.best.discard_after(step)

    def rows(self, snapshot: Snapshot) -> Iterator[tuple[int, Tensor]]:
        """The replay of a snapshot, segment by segment: the number of the first row, and rows ``[n, S, row]``."""
        for segment in snapshot.segments:
            rows = load_tensors(self._replay / segment.name).get("rows")
            if rows is None or rows.dim() == 0 or len(rows) != segment.stop - segment.start:
                raise CheckpointDamaged(f"{self._replay / segment.name}: it does not hold the rows of its name")
            yield segment.start, rows

    def damages(self, step: int, hashed: dict[str, dict[str, Any]] | None = None) -> Iterator[str]:
        """A line on each damaged file of a checkpoint, and on other settings than those of the run.

        ``hashed`` keeps sizes and hashes of files that several checkpoints share.
        """
        try:
            manifest = read_manifest(self.folder(step))
            yield from damages_in(self.run, manifest, {} if hashed is None else hashed)
            self._check_run(self.folder(step), manifest)
        except (CheckpointDamaged, RunEdited) as damage:
            yield str(damage)

    def _check_run(self, path: Path, manifest: Mapping[str, Any]) -> None:
        if self._facts is not None:
            check_record(path, manifest.get("run"), self._facts)

    def _manifest(self, step: int) -> dict[str, Any]:
        """The manifest of a checkpoint; empty where it cannot be read, which ``load`` reports."""
        try:
            return read_table(self.folder(step) / "manifest.json")
        except (OSError, ValueError):
            return {}

    def _prune(self) -> None:
        others = {step for step in self.steps() if self._manifest(step).get("format", FORMAT) != FORMAT}
        for step in self.steps()[: -self._keep]:
            if step not in others:
                shutil.rmtree(self.folder(step))
        self.best.prune(self.steps())
        needed = set()
        for step in self.steps():
            needed |= {Segment(*bounds).name for bounds in self._manifest(step).get("segments", [])}
        if self._replay.is_dir() and not others:  # What a checkpoint of another format needs is not known.
            for entry in self._replay.iterdir():
                if entry.name not in needed and not entry.is_dir():
                    entry.unlink()
