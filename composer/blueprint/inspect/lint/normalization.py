"""Advice on normalisation: of features, of weights, of observations."""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint.inspect.lint.base import Finding, Subject, blocks, normalises, on_sphere, rule
from composer.networks.blocks import Block
from composer.networks.outline import Outline
from composer.optim.base import matching

FEATURES = ("sample", "batch", "sphere")
"""``Block.normalises`` of what scales the features inside a network."""
HIGH_RATIO = 4.0
"""Updates per interaction from which values diverged in experiments without normalisation."""


@rule("norm-and-decay", "info", "Lyle et al., arXiv:2402.18762")
def norm_and_decay(subject: Subject) -> Iterator[Finding]:
    """A trained network with only one of layer norm and weight decay, or with neither."""
    for role, outline in subject.outlines.items():
        if on_sphere(outline) or role not in subject.blueprint.optimizers:
            continue
        has_norm, decays = normalises(outline, *FEATURES), subject.weight_decay(role) > 0
        reason = "together the two keep networks trainable on changing targets, better than either"
        if has_norm and not decays:
            yield ("optimizers", role), f"normalisation without weight decay: {reason}"
        elif decays and not has_norm:
            yield ("networks", role, "trunk"), f"weight decay without layer norm: {reason}"
        elif not has_norm:
            yield ("networks", role, "trunk"), f"neither layer norm nor weight decay: {reason}"


@rule("high-update-to-data", "warn", "Hussing et al., arXiv:2403.05996")
def high_update_to_data(subject: Subject) -> Iterator[Finding]:
    """Many updates per interaction on a bootstrapped network that normalises nothing."""
    ratio = subject.clock.update_to_data
    for role in sorted(subject.bootstrapped()):
        outline = subject.outlines[role]
        if subject.blueprint.networks[role].head.returns() is None:
            continue  # Features, such as a projection's, and no values.
        if ratio >= HIGH_RATIO and not normalises(outline, *FEATURES, "weights") and not on_sphere(outline):
            message = f"{ratio:g} updates per interaction, and {role} normalises nothing: its values tend to diverge"
            yield ("algorithm", "update_to_data"), message


@rule("batch-norm-target", "warn", "Bhatt et al. (CrossQ), arXiv:1902.05605")
def batch_norm_target(subject: Subject) -> Iterator[Finding]:
    """Batch norm in a network that learns from an average of itself, without a joint batch."""
    is_apart = not subject.blueprint.algorithm.joins_batches
    for role in sorted(subject.bootstrapped()):
        if is_apart and normalises(subject.outlines[role], "batch"):
            message = (
                "batch norm in a network with a target: statistics of the actions in the replay normalise those of the "
                "policy. CrossQ normalises both in one batch: set algorithm.joint_batch"
            )
            yield ("networks", role, "trunk"), message


@rule("sphere-and-decay", "warn", "Lee et al. (SimbaV2), arXiv:2502.15280")
def sphere_and_decay(subject: Subject) -> Iterator[Finding]:
    """Weight decay on weights that are kept at unit norm."""
    for role, outline in subject.outlines.items():
        kept = [path for path, plan in outline.named_parameters() if plan.is_projected]
        decayed = matching(getattr(subject.stepping(role), "decay", ("*",)), kept)
        if decayed and subject.weight_decay(role) > 0:
            message = (
                "weights of unit norm are projected after every step, which undoes their decay; only scales shrink"
            )
            yield ("optimizers", role, "weight_decay"), message


@rule("sphere-and-layer-norm", "info", "Lee et al. (SimbaV2), arXiv:2502.15280")
def sphere_and_layer_norm(subject: Subject) -> Iterator[Finding]:
    """Layer norm, but for one whose gains are kept too, in a network whose weights are kept at unit norm."""
    for role, outline in subject.outlines.items():
        free = (block for block in blocks(outline) if not any(plan.shares_norm for plan in block.parameters.values()))
        if on_sphere(outline) and any(Block.of(block).normalises == "sample" for block in free):
            message = (
                "layer norm beside weights of unit norm: the method replaces it by unit_norm, which leaves the sphere"
            )
            yield ("networks", role, "trunk"), message


@rule("raw-observations", "info", "Lee et al. (SimBa), arXiv:2410.09754")
def raw_observations(subject: Subject) -> Iterator[Finding]:
    """Pre-norm residual blocks, as SimBa's, on observations that nothing normalises."""
    if not subject.blueprint.normalization.observation.is_identity or len(subject.info.observation) != 1:
        return
    residual = [role for role, outline in subject.outlines.items() if _is_pre_norm(outline)]
    if residual and not any(normalises(outline, "running") for outline in subject.outlines.values()):
        message = (
            f"{' and '.join(residual)} built as SimBa's, on observations as they are: SimBa normalises them (rs_norm)"
        )
        yield ("normalization", "observation"), message


def _is_pre_norm(outline: Outline) -> bool:
    """Whether a residual branch begins with a norm."""
    firsts = (_first(block) for block in blocks(outline) if block.layout == "residual")
    return any(Block.of(first).normalises == "sample" for first in firsts)


def _first(outline: Outline) -> Outline:
    return _first(next(iter(outline.children.values()))) if outline.children else outline
