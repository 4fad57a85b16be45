"""What the pairs of a comparison say together: two sentences where there are many, and a table of them.

Tests: tests/studies/test_conclusion.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from composer.spec.interval import LEVEL
from composer.studies.statistics import p_text, span

NAMED: Final = 5
"""So many decided pairs are named in a sentence."""
SHOWN: Final = 15
"""So many pairs are shown in a table; ``--json`` and ``--csv`` have all."""
HEADS: Final = ["pair", "difference", "P(improvement)", "p, corrected", "seeds needed each"]

Pairs = Sequence[Mapping[str, Any]]
"""Rows of ``verdicts.judge``, of one task or of all."""


def conclusions(pairs: Pairs, form: str) -> list[str]:
    """What the data decide: the sentence of a single pair; of several, which are decided, and which is nearest to it.

    Differences are in the number format ``form``.
    """
    if len(pairs) < 2:
        return [f"{pair['sentence']}." for pair in pairs]
    where, tests = pairs[0]["where"], pairs[0]["correction"]["tests"]
    decided = [pair for pair in _nearest_first(pairs) if pair["decided"]]
    undecided = [pair for pair in _nearest_first(pairs) if not pair["decided"]]
    said = (
        f"{where}: {len(decided)} of {len(pairs)} pairs are decided at {1 - LEVEL:.0%} (Holm over {tests} comparisons)"
    )
    shown = [f"{pair['verdict']} ({_numbers(pair, form)})" for pair in decided[:NAMED]]
    shown += [f"and {len(decided) - NAMED} more"] if len(decided) > NAMED else []
    found = [f"{said}: {'; '.join(shown)}." if shown else f"{said}."]
    if undecided:
        found.append(f"Nearest to a decision: {undecided[0]['sentence'].removeprefix(f'{where}: ')}.")
    return found


def pair_table(pairs: Pairs, form: str) -> list[list[str]]:
    """Rows for several pairs, the smallest p-value first, with their head; nothing for one."""
    if len(pairs) < 2:
        return []
    rows = [HEADS]
    for pair in _nearest_first(pairs)[:SHOWN]:
        needed = pair["seeds_needed"]
        rows.append(
            [
                f"{pair['left']} - {pair['right']}",
                span(pair["difference"], form),
                span(pair["probability_of_improvement"], ".2f"),
                p_text(pair["p_value_corrected"]),
                "decided" if pair["decided"] else "-" if needed is None else f"{needed:,}",
            ]
        )
    if len(pairs) > SHOWN:
        rows.append([f"and {len(pairs) - SHOWN} more (--json, --csv)", "", "", "", ""])
    return rows


def _numbers(pair: Mapping[str, Any], form: str) -> str:
    p = p_text(pair["p_value_corrected"])
    difference = span(pair["difference"], form)
    return f"{pair['left']} - {pair['right']} {difference}, p {p if p.startswith('<') else f'= {p}'}"


def _nearest_first(pairs: Pairs) -> list[Mapping[str, Any]]:
    return sorted(pairs, key=lambda pair: (pair["p_value_corrected"], pair["p_value"]))
