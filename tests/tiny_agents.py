"""Tiny forms of world models, METRA, MR.Q and the critics since 2025, one of each, on environments of the tests."""

from __future__ import annotations

from pathlib import Path

from drift import Drift as Drift

from composer.blueprint import Blueprint, load
from composer.spec.package_files import blueprints_root

HERE, SHIPPED = Path(__file__).parent, blueprints_root()
_DRIFT = 'environment={ kind = "test/drift" }'
_SHORT = (
    *("algorithm.batch_size=16", "algorithm.warmup_interactions=20", "algorithm.update_to_data=1"),
    *("replay.capacity=100", "training={ env_steps = 60, log_every = 20 }", 'tracking={ kind = "none" }'),
    *("evaluation={ every = 60, episodes = 2 }", "checkpoint.every=60", 'compute={ compile = "never", threads = 1 }'),
)


def _trunks(actor: str, critic: str) -> tuple[str, ...]:
    return tuple(f"networks.{role}.trunk={table}" for role, table in (("actor", actor), ("critic", critic)))


AGENTS: dict[str, tuple[Path, tuple[str, ...]]] = {
    "tdmpc2": (HERE / "tiny_tdmpc2.toml", ()),
    "dreamer": (HERE / "tiny_dreamer.toml", ("algorithm.free_nats=0",)),  # Below them the prior would not learn.
    "metra": (HERE / "tiny_metra.toml", ()),
    "mr_q": (HERE / "tiny_mr_q.toml", ()),
    "flash_sac": (
        SHIPPED / "dmc" / "flash_sac.toml",
        (*_SHORT, _DRIFT, *_trunks(*2 * ["{ use = 'flash_sac', width = 8, blocks = 1 }"])),
    ),
    "xqc": (
        SHIPPED / "dmc" / "xqc.toml",
        (*_SHORT, _DRIFT, *_trunks(*2 * ["{ use = 'xqc', width = 8, depth = 2 }"])),
    ),
    "crossq_wn": (
        SHIPPED / "dmc" / "crossq_wn.toml",
        (*_SHORT, _DRIFT, *_trunks(*2 * ["{ use = 'crossq_wn', width = 8, depth = 2 }"])),
    ),
    "brc": (
        SHIPPED / "dmc" / "brc.toml",
        (
            *_SHORT,
            *("training={ env_steps = 120, log_every = 40 }", "evaluation.every=120", "checkpoint.every=120"),
            "environment={ kind = 'multitask', tasks = [{ kind = 'test/drift' }, { kind = 'test/drift', limit = 9 }] }",
            "networks.task_embedding.trunk.width=4",
            *_trunks(*2 * ["{ use = 'bro', width = 6, blocks = 1 }"]),
        ),
    ),
    "simba_v2": (
        SHIPPED / "mujoco" / "simba_v2.toml",
        (
            *_SHORT,
            _DRIFT,
            "networks.actor.head.hidden.width=8",
            *_trunks(
                "{ use = 'simba_v2', width = 8, blocks = 1 }",
                "[{ use = 'simba_v2', width = 8, blocks = 1 }, { use = 'simba_v2_hidden', width = 8 }]",
            ),
        ),
    ),
    "multi_skip": (
        HERE / "tiny.toml",
        (*_SHORT, _DRIFT, *_trunks(*2 * ["{ use = 'multi_skip', width = 8, depth = 2 }"])),
    ),
}
"""Of each: the file, and overrides."""


def blueprint_of(name: str, *overrides: str) -> Blueprint:
    """The agent of that name; interventions may come long after its end."""
    path, own = AGENTS[name]
    return load(path, [*own, *overrides], is_to_run=False).blueprint
