"""A folder of state with its manifest: staged, hashed, sealed and renamed, so that it is complete or absent.

    FOLDER/state.safetensors, state.json, manifest.json (sizes and SHA-256, written last)

Tests: tests/faults/test_checkpoint.py, tests/faults/test_doctored.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from composer.spec.run_files import read_table, write_text
from composer.training.runs.disk import flush_to_disk, seal, size_and_hash
from composer.training.runs.manifest import check_manifest
from composer.training.runs.snapshot import Snapshot
from composer.training.runs.state_files import CheckpointDamaged, load_tensors, load_values, write_tensors

FORMAT = 1


class OtherFormat(CheckpointDamaged):
    """A checkpoint has a format that this composer does not read. It is kept, and no other is used in its place."""


def write_folder(final: Path, snapshot: Snapshot, facts: Mapping[str, Any], files: Mapping[str, Any]) -> None:
    """Write tensors and values to the folder ``final``, in ``RUN/checkpoints``, in place of an older one of its name.

    The manifest has ``facts`` and, besides the two files of the folder, the entries of ``files``.
    """
    root = final.parent
    staged = root / f".tmp-{final.name}"
    staged.mkdir()
    write_tensors(
        {name: tensor.detach().cpu().contiguous() for name, tensor in snapshot.tensors.items()},
        staged / "state.safetensors",
    )
    write_text(staged / "state.json", json.dumps(snapshot.values, sort_keys=True))
    own = {name: size_and_hash(staged / name) for name in ("state.safetensors", "state.json")}
    named = {f"{root.name}/{final.name}/{name}": entry for name, entry in own.items()}
    manifest = {"format": FORMAT, **facts, "files": named | dict(files)}
    sealed = json.dumps(manifest | {"sha256": seal(manifest)}, indent=1, sort_keys=True)
    write_text(staged / "manifest.json", sealed)
    for entry in staged.iterdir():
        flush_to_disk(entry)
    flush_to_disk(staged)
    if final.exists():  # Saved after a failed evaluation, which has been repeated since.
        final.rename(root / f".tmp-replaced-{final.name}")
    staged.rename(final)
    flush_to_disk(root)


def sweep(root: Path) -> None:
    """Remove what a kill has left half written in ``RUN/checkpoints``."""
    for leftover in root.glob(".tmp-*"):
        shutil.rmtree(leftover)


def read_manifest(path: Path) -> dict[str, Any]:
    """The sealed manifest of the folder ``path``; raises CheckpointDamaged and OtherFormat."""
    try:
        manifest = read_table(path / "manifest.json")
    except (OSError, ValueError) as error:
        raise CheckpointDamaged(f"{path / 'manifest.json'}: {error!r}") from None
    # First: a manifest of another format may be sealed in another way.
    written, held = manifest.get("format"), manifest.pop("sha256", None)
    if written != FORMAT and isinstance(written, int):
        raise OtherFormat(
            f"{path}: format {written}, this composer reads {FORMAT}; the checkpoint is kept: use the composer that"
            " wrote it, or move it out of the run to continue from an older one"
        )
    if held != seal(manifest):
        raise CheckpointDamaged(f"{path / 'manifest.json'}: its SHA-256 is not the one that it holds")
    try:
        if written != FORMAT:
            raise ValueError("its format is no number")
        check_manifest(manifest)
    except ValueError as error:
        raise CheckpointDamaged(f"{path / 'manifest.json'}: {error}") from None
    return manifest


def damages_in(
    run: Path, manifest: Mapping[str, Any], hashed: dict[str, dict[str, Any]], rows_too: bool = True
) -> Iterator[str]:
    """A line on each file of a manifest that is not as it was written.

    ``hashed`` keeps sizes and hashes of files that several folders share.
    """
    for name, expected in manifest["files"].items():
        if name.startswith("replay/") and not rows_too:
            continue
        try:
            found = hashed[name] = hashed.get(name) or size_and_hash(run / name)
        except (OSError, ValueError) as error:
            yield f"{run / name}: {getattr(error, 'strerror', None) or error}"
            continue
        if found != expected:
            what = "size" if found["bytes"] != expected["bytes"] else "SHA-256"
            yield f"{run / name}: its {what} is not the one in the manifest"


def verified(run: Path, path: Path, rows_too: bool = True) -> dict[str, Any]:
    """The manifest of a folder; raises CheckpointDamaged at its first damaged file."""
    manifest = read_manifest(path)
    for damage in damages_in(run, manifest, {}, rows_too):
        raise CheckpointDamaged(damage)
    return manifest


def load_state(path: Path) -> Snapshot:
    """Tensors and values of a folder that was verified; raises CheckpointDamaged."""
    return Snapshot(load_tensors(path / "state.safetensors"), load_values(path / "state.json"), path=path)
