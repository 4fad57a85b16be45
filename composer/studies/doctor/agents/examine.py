"""``composer doctor FILE``: units, ranks, norms and trainability of an agent of another library, and injection.

Injection as a diagnosis, as far as weights and observations go: a copy of a network learns random targets on the
observations, with and without fresh weights that leave its outputs as they are, and both fits are compared in pairs.
Fresh weights speed up a network that was never trained too: its gain on the same targets is subtracted.
Sources: Nikishin et al., arXiv:2305.15555 (injection); Lyle et al., arXiv:2303.01486 (targets).
Tests: tests/studies/doctor/test_agent_doctor.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from composer.diagnostics import DeadUnits, Diagnostic, Dormant, FeatureNorm, ParameterNorm, Rank, Trainability
from composer.diagnostics.fitting import fitted, random_wave
from composer.interventions.inject import split_of
from composer.networks.parameter_selectors import Paths
from composer.spec.interval import method
from composer.spec.run_files import write_text
from composer.studies import Refused
from composer.studies.doctor import examine as runs
from composer.studies.doctor import forks, picture, proxies
from composer.studies.doctor.agents import cleanrl, observations, sb3
from composer.studies.doctor.agents.agent import Agent
from composer.studies.doctor.agents.observations import Observed
from composer.studies.doctor.agents.saved import read
from composer.studies.doctor.agents.view import AgentView
from composer.studies.doctor.beforehand import branches_needed
from composer.studies.doctor.site import behind_encoder, first_role
from composer.studies.doctor.verdict import answer, diagnose
from composer.studies.statistics import Curve, Floats, coverage_notes

STEPS: Final = 100
"""Steps of Adam of a fit."""
EVERY: Final = 10
"""Steps between two points of a curve."""
FITTED: Final = {True: 32, False: 128}
"""Observations that are fitted, of pictures and of vectors: a step on 512 pictures takes a second on one core."""
BOUNDS: Final = (-float("inf"), 1.0)
"""Of trainability."""
METRIC: Final = "trainability"


def examine(
    file: Path,
    observed: tuple[Path | None, str | None],
    pairs: int | None,
    where: Sequence[str],
    out: Path | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Measure the agent in ``file`` on observations of a file or an environment; write report and picture into ``out``.

    Raises Refused, which leaves no file, EnvironmentFailure and UnusableEnvironment.
    """
    saved, shape = read(file), observations.shape_of(*observed)
    agent = sb3.agent(saved) if saved.is_sb3 else cleanrl.agent(saved, shape)
    role, globs, chosen = _site(agent, where)
    count = _count(pairs)
    seen = observations.read(observed[0], agent) if observed[0] else observations.play(str(observed[1]), agent)
    view = AgentView(agent, seen.observation, seen.action)
    say(f"{agent.title}: {', '.join(agent.networks)}; {view.samples} observations of {seen.origin}")
    measured = {name: _measured(view, name) for name in agent.networks}
    say(f"{4 * count} fits of random targets, {STEPS} steps each: with and without fresh weights, of new networks too")
    fits = _fits(view, role, chosen, count)
    ends = {side: [float(fits[f"{name}/plain"][:, -1].mean())] for side, name in (("birth", "new"), ("now", "agent"))}
    measured[role][f"{METRIC}.v{Trainability.version}"] = ends
    table = {
        "run": str(file),
        "env_step": agent.env_steps,
        "horizon": None,
        "updates": STEPS,
        "metric": METRIC,
        "network": role,
        "where": list(globs),
        **_verdict(role, fits),
        "proxies": measured[role],
        "forks": {},
        "notes": list(_notes(agent, seen, view, role, count)),
        "networks": measured,
        "agent": {"library": agent.library, "algorithm": agent.algorithm},
    }
    return table | _written(table, fits, out or file.parent / f"doctor-{file.stem}")


def _count(asked: int | None) -> int:
    needed = branches_needed(1)
    count = needed if asked is None else asked
    if count < needed:
        raise Refused(f"{count} pairs of fits are too few for any answer; use --branches {needed} or more")
    return count


def _written(table: Mapping[str, Any], fits: Mapping[str, Floats], folder: Path) -> dict[str, str]:
    """Write report and picture; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, injected = (_curve(fits[f"agent/{arm}"]) for arm in forks.ARMS)
    over = "steps of Adam on random targets"
    picture.draw(folder / runs.PICTURE, None, plain, injected, table, begins=0, over=over)
    write_text(folder / runs.REPORT, json.dumps(table, indent=1) + "\n")
    return {"report": str(folder / runs.REPORT), "picture": str(folder / runs.PICTURE)}


def _fitted(view: AgentView, role: str) -> int:
    """Observations that are fitted."""
    return min(FITTED[view.input(role).ndim == 5], view.samples)


def _curve(shares: Floats) -> Curve:
    """Shares ``[pairs, T]`` over steps."""
    return Curve(np.arange(0, STEPS + 1, EVERY), shares, BOUNDS)


def text(table: Mapping[str, Any]) -> str:
    """The sentence, what was injected, the measures of each network, and the notes."""
    others = [
        line
        for role, found in table["networks"].items()
        if role != table["network"]
        for line in ("", f"{role}:", *proxies.lines(found))
    ]
    return runs.text(table, "both fits of a pair have the same targets", others)


def _site(agent: Agent, where: Sequence[str]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The network that is injected, the globs that choose its last layers, and the paths of their parameters."""
    outlines = {role: network.outline for role, network in agent.networks.items()}
    role = first_role({name: network.declared.head for name, network in agent.networks.items()})
    globs = tuple(where) or tuple(behind_encoder(role, outlines[role]))
    problems = [message for _, message in Paths(globs=globs).problems(outlines)]
    selected = Paths(globs=globs).select(outlines)
    roles = list(dict.fromkeys(name for name, _ in selected))
    if problems or len(roles) != 1:
        raise Refused(problems[0] if problems else f"--where chooses {' and '.join(roles)}: choose one network")
    (role,) = roles
    if not agent.networks[role].declared.head.is_additive:
        raise Refused(f"outputs of {role!r} are no sums of terms: inject {first_role(_heads(agent))!r}")
    paths = tuple(path for _, path in selected)
    try:
        split_of(outlines[role], paths)
    except ValueError as error:
        raise Refused(str(error)) from error
    return role, globs, paths


def _heads(agent: Agent) -> dict[str, Any]:
    return {name: network.declared.head for name, network in agent.networks.items()}


def _measured(view: AgentView, role: str) -> proxies.Proxies:
    """Units, ranks and norms of a network, now and drawn anew, on the same inputs."""
    kinds: list[Diagnostic] = [kind(roles=(role,)) for kind in (Dormant, DeadUnits, Rank, FeatureNorm, ParameterNorm)]
    measures = [each for each in kinds if not list(each.problems({role: view.outline(role)}))]
    found: proxies.Proxies = {}
    for side, subject in (("birth", view.untrained()), ("now", view)):
        for each in measures:
            for name, value in each.read(subject, {}).items():
                key = f"{name.partition('/')[2]}.v{each.version}"
                found.setdefault(key, {})[side] = [float(value[0])]
    return found


def _fits(view: AgentView, role: str, chosen: tuple[str, ...], pairs: int) -> dict[str, Floats]:
    """Shares of random targets that are fitted, ``[pairs, T]``: by the agent's network and by one drawn anew.

    Both without and with fresh weights. Each pair has targets, fresh weights and a network drawn anew of its own.
    """
    inputs, outline = view.input(role)[:, : _fitted(view, role)].contiguous(), view.outline(role)
    rows: dict[str, list[list[float]]] = {}
    for number in range(pairs):
        other = view.untrained(number)
        wave = random_wave(other.network(role).template, outline, view.seeds, view.network(role).copies, inputs, number)
        for name, subject in (("agent", view), ("new", other)):
            arms = (subject.network(role), outline), subject.injected(role, chosen, number)
            for arm, (network, own) in zip(forks.ARMS, arms, strict=True):
                shares = (float(share[0]) for _, share in fitted(network, own, inputs, wave, STEPS, EVERY))
                rows.setdefault(f"{name}/{arm}", []).append(list(shares))
    return {arm: np.array(values) for arm, values in rows.items()}


def _verdict(role: str, fits: Mapping[str, Floats]) -> dict[str, Any]:
    """The entries of the answer: gains by fresh weights, less those of networks drawn anew on the same targets."""
    plain, injected, other, control = (_curve(fits[name]).area()[None] for name in fits)
    control = control - other
    diagnosis, interval = diagnose(plain, injected - control, BOUNDS), method("the pairs")
    effect = (
        f"fresh weights injected into {role!r} changed the share of random targets that it fits, a mean over {STEPS}"
        f" steps, by {diagnosis.gain.value:+.3g} [{diagnosis.gain.low:+.3g}, {diagnosis.gain.high:+.3g}], the"
        f" {interval}, more than that of a network drawn anew, from {diagnosis.plain:.3g}"
    )
    pairs = zip(plain[0], injected[0], control[0], strict=True)
    return {
        "verdict": diagnosis.verdict,
        "sentence": answer(diagnosis, effect, plain.size),
        "gain": diagnosis.gain.as_dict(),
        "margin": diagnosis.margin,
        "p_value": diagnosis.p_value,
        "plain": diagnosis.plain,
        "injected": float(injected.mean()),
        "interval": interval,
        "pairs": [
            {"seed": 0, "branch": branch, "plain": float(one), "injected": float(more), "control": float(less)}
            for branch, (one, more, less) in enumerate(pairs)
        ],
    }


def _notes(agent: Agent, seen: Observed, view: AgentView, role: str, pairs: int) -> Iterator[str]:
    yield from _silent(view)
    yield "one agent: the answer holds for it, not for others"
    yield (
        "the targets are random functions of the observations, not the agent's own: an environment and a replay, which"
        " no file of weights has, would tell whether returns suffer"
    )
    yield "'at initialisation' are networks drawn anew, as the library draws them: the first weights are not saved"
    if agent.reads_actions:
        read = "actions of the policy, without noise" if seen.action is None else "the given actions"
        yield f"the critic reads {read}"
    yield f"fits, and {METRIC}, take {STEPS} steps on {_fitted(view, role)} of the observations"
    yield from agent.assumed
    yield from (f"{note}; the sign-flip test is exact" for note in coverage_notes(pairs, "pairs"))


def _silent(view: AgentView) -> Iterator[str]:
    """Layers with units that are exactly 0 on all observations, in every copy."""
    from composer.networks.unit_statistics import dead

    for role in view.networks:
        for path, summary in view.units(role).items():
            silent = int(dead(summary[0, :, 1].amax(0)).sum())
            if silent:
                total = summary.shape[-1]
                yield f"{role}.{path}: {silent} of {total} units are dead, 0 on each of {view.samples} observations"
