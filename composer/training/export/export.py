"""``composer export``: the evaluated policy of a seed in a folder, held to the agent before anybody relies on it.

Tests: tests/training/export/test_export.py.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from composer.spec.run_files import write_text
from composer.spec.version import __version__
from composer.spec.wording import suggestion
from composer.training import assemble
from composer.training.export.codecs import Observation
from composer.training.export.formats import FORMATS, ExportFailed, Format
from composer.training.export.policy import OneSeed, Policy
from composer.training.export.sources import Recorded, Source, source_of
from composer.training.runs import directory as runs
from composer.training.runs.chosen import Chosen

OBSERVATIONS: Final = 1_000
"""That a policy is held to, where the environment gives so many."""
CARD: Final = "policy.json"


def export(
    run: Path, format: str = "torch", checkpoint: Chosen = "best", seed: int | None = None, out: Path | None = None
) -> dict[str, Any]:
    """Write the policy of a seed of a run, by default its first, and ``policy.json`` into the folder ``out``.

    The file is read back and held to the agent's own evaluated actions on observations of evaluation episodes. Returns
    the card. Raises ExportFailed, which leaves no file, and what reading a run raises.
    """
    if format not in FORMATS:
        raise ExportFailed(f"no format {format!r}{suggestion(format, FORMATS)}; there are {' and '.join(FORMATS)}")
    blueprint, learner, snapshot = assemble.load_agent(run, checkpoint, "cpu")
    if problem := learner.program.export_problem:
        raise ExportFailed(problem)
    index = _index(blueprint.seeds, seed)
    one = OneSeed(blueprint.agent, learner, index)
    interactions = int(snapshot.values["interactions"])
    source = source_of(blueprint.environment, blueprint.seeds[index], interactions, blueprint.algorithm.batch_size)
    recorded = source.record(one.act, OBSERVATIONS)
    policy = Policy(one, source.encode, source.decode, _first(recorded.observation, 2))
    folder = (out if out is not None else run / "export").absolute()
    kind = FORMATS[format]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / kind.file
        kind.write(policy, _first(recorded.observation, 2), file)
        parity = _parity(kind, file, policy, one, source, recorded)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / kind.file)
    card = _card(runs.read_facts(run), kind, source, policy, parity)
    card["task"], card["seed"] = blueprint.environment.title, blueprint.seeds[index]
    card["env_step"], card["checkpoint"] = (
        interactions * blueprint.environment.stride,
        str(snapshot.path and snapshot.path.name),
    )
    write_text(folder / CARD, json.dumps(card, indent=1, default=str) + "\n")
    return card | {"folder": str(folder)}


def _index(seeds: Sequence[int], seed: int | None) -> int:
    if seed is None:
        return 0
    if seed not in seeds:
        raise ExportFailed(f"the run has no seed {seed}; it has {', '.join(map(str, seeds))}")
    return seeds.index(seed)


def _first(observation: Observation, count: int) -> Observation:
    if isinstance(observation, Tensor):
        return observation[:count]
    return {name: each[:count] for name, each in observation.items()}


def _parity(
    kind: Format, file: Path, policy: Policy, one: OneSeed, source: Source, recorded: Recorded
) -> dict[str, Any]:
    """How far the file is from the agent, relative to an output's range; raises ExportFailed.

    A format that sums in another order may differ by twice what the agent's own float32 differs from float64, where
    that is more than the tolerance: neither of the two is nearer to the exact value then.
    """
    with torch.no_grad():
        expected = source.decode(one.act(recorded.seen))
        rounding = _difference(source, expected, policy.in_float64(recorded.observation))
    given = kind.load(file)(recorded.observation)
    if given.shape != expected.shape or given.dtype != expected.dtype:
        theirs, ours = (f"{each.dtype} {[*each.shape]}" for each in (given, expected))
        raise ExportFailed(f"the {kind.name} file gives {theirs}, the agent {ours}: nothing was written")
    difference, count = _difference(source, expected, given), len(expected)
    tolerance = max(kind.tolerance, 2 * rounding) if kind.rounds else kind.tolerance
    if not difference <= tolerance:
        raise ExportFailed(
            f"the {kind.name} file differs from the agent by {difference:.3g} of the range of an output on {count:,} "
            f"observations, more than {tolerance:.3g}: nothing was written"
        )
    parity = {"difference": difference, "tolerance": tolerance, "float32_rounding": rounding}
    return parity | {"observations": count, "of": recorded.origin}


def _difference(source: Source, expected: Tensor, given: Tensor) -> float:
    """The largest one by the range of an action, or of the logits that were seen; of indices, the share that differ."""
    action = source.spaces.action
    apart = np.abs(given.double().numpy() - expected.double().numpy())
    if action.count:
        return float((apart > 0).mean())
    if source.answers == "action":
        return float((apart / action.ranges.reshape(action.shape)).max())
    return float(apart.max()) / max(float(expected.max() - expected.min()), 1e-30)


def _card(
    facts: Mapping[str, Any], kind: Format, source: Source, policy: Policy, parity: Mapping[str, Any]
) -> dict[str, Any]:
    """What a user of the file needs to know."""
    spaces = source.spaces
    feed = {part.name: f"<{part.dtype} [n{''.join(f', {size}' for size in part.shape)}]>" for part in spaces.parts}
    one = next(iter(feed.values()))
    words = {"torch": "observation" if len(feed) == 1 else "{name: observation[name]}", "onnx": "{name: observation}"}
    action = spaces.action
    return {
        "file": kind.file,
        "format": kind.name,
        "inputs": feed if len(feed) > 1 or kind.name == "onnx" else {spaces.parts[0].name: one},
        "output": f"<{action.dtype} [n{''.join(f', {size}' for size in action.shape)}]>",
        "gives": "the index of an action" if action.count else f"{source.answers}s in the environment's own units",
        "notes": list(spaces.notes),
        "agent": facts.get("agent", facts["name"]),
        "run_id": facts["run_id"],
        "parameters": policy.count(),
        "parity": dict(parity),
        "versions": kind.versions() | {"composer": __version__},
        "usage": kind.usage.format(file=kind.file, feed=words[kind.name]),
    }
