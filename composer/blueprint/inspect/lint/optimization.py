"""Advice on weight decay and on averages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from composer.blueprint.inspect.lint.base import Finding, Subject, rule
from composer.networks.outline import Outline
from composer.optim.base import matches


@rule("decay-mask", "warn", "Schwarzer et al. (BBF), arXiv:2305.19452: no decay of parameters with one axis")
def decay_mask(subject: Subject) -> Iterator[Finding]:
    """A decay mask that leaves some vectors out, and decays others, but for one that takes whole layers."""
    for role, outline in subject.outlines.items():
        mask: Sequence[str] = getattr(subject.stepping(role), "decay", ())
        vectors = [path for path, plan in outline.named_parameters() if len(plan.shape) < 2 and plan.trainable]
        caught = [path for path in vectors if matches(mask, path)]
        is_split = 0 < len(caught) < len(vectors) and not _takes_whole_layers(mask, outline)
        if is_split and subject.weight_decay(role) > 0:
            message = (
                f"leaves out some vectors, yet decays {len(caught)} others, such as {caught[0]} (a gain or a shift)"
            )
            yield ("optimizers", role, "decay"), message


def _takes_whole_layers(mask: Sequence[str], outline: Outline) -> bool:
    layers: dict[str, set[bool]] = {}
    for path, _ in outline.named_parameters():
        layers.setdefault(path.rpartition(".")[0], set()).add(matches(mask, path))
    return all(len(found) == 1 for found in layers.values())


@rule("two-averages", "info", "argued")
def two_averages(subject: Subject) -> Iterator[Finding]:
    """Several averages of one network."""
    first: dict[str, str] = {}
    kept = {each.name for each in subject.blueprint.algorithm.averages_read() if each.is_kept}
    for name, average in subject.blueprint.averages.items():
        if name in kept:
            continue
        other = first.setdefault(average.of, name)
        if other == name:
            continue
        if subject.blueprint.averages[other].momentum == average.momentum:
            message = f"the same numbers as {other}: one network, one momentum; whatever reads this can read that"
        else:
            message = f"{average.of} is averaged already, as {other}; one average can serve as target and as source"
        yield ("averages", name), message
