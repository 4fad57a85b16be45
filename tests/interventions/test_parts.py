"""Parts of interventions and penalties: each one expands where it is used, fires, and does what its name says."""

from __future__ import annotations

import pytest
import torch
from surgeon import Patient
from tiny_runs import DRIFT, tiny

from composer.blueprint import BlueprintError
from composer.blueprint.syntax.parts import parts

MLP = 'networks.critic.trunk={ use = "mlp", width = 16, depth = 2 }'
TORTOISE = "averages.tortoise={ of = 'critic', momentum = 0.9 }"
EVERY = "interval = 3, clock = 'update'"
AT = "when = { kind = 'at', steps = [3] }"
CRITIC = "where = ['critic.*']"
TRUNK = "where = ['critic.trunk.*']"
TAIL = "where = ['critic.trunk.1.*', 'critic.head.*']"

# By part: its parameters in the tiny run, and other overrides.
CASES: dict[str, tuple[str, ...]] = {
    "altnet": (EVERY,),
    "bbf_encoder_shrink": (EVERY,),
    "bbf_head_reset": (EVERY,),
    "continual_backprop": ("rate = 0.5, maturity = 1, batch = 8", MLP),
    "dash": (f"when = {{ kind = 'at', steps = [3] }}, batch = 16, {CRITIC}",),
    "drm": (f"{EVERY}, batch = 16", MLP, "networks.actor.trunk={ use = 'mlp', width = 16, depth = 2 }"),
    "full_reset": (EVERY,),
    "gradual_magnitude_pruning": ("first = 1, firings = 3",),
    "hare_and_tortoise": (f"{EVERY}, {CRITIC}", TORTOISE),
    "head_reset": (EVERY,),
    "injection": (f"{AT}, {TAIL}", MLP),
    "last_layers_reset": (EVERY, MLP),
    "moments_reset": (AT,),
    "net2deeper": (f"{AT}, {TRUNK}", MLP),
    "net2wider": (f"{AT}, {TRUNK}", MLP),
    "normalize_and_project": ("",),
    "redo": (f"{EVERY}, tau = 1.0, batch = 8", MLP),
    "regrama": (f"{EVERY}, tau = 1.0, batch = 8", MLP),
    "relative_adam_steps": (AT,),
    "selective_weight_reinitialization": ("interval = 3",),
    "self_normalized_resets": ("most = 1, batch = 2", MLP),
    "shrink_and_perturb_ash_adams": (f"{EVERY}, {CRITIC}",),
    "shrink_and_perturb_fresh": (EVERY,),
    "shrink_and_perturb_gaussian": (CRITIC,),
    "shrink_and_perturb_initial": (f"{EVERY}, {CRITIC}",),
    "soft_weight_rescaling": ("",),
    "weight_clipping": (f"factor = 0.1, {CRITIC}",),
}
STRUCTURE_OR_STATE = ("altnet", "injection", "moments_reset", "net2deeper", "net2wider", "relative_adam_steps")
"""Parts that change no entry of a parameter."""


def patient(name: str, *overrides: str) -> Patient:
    parameters, *others = CASES[name]
    keys = ", ".join(filter(None, [f"use = '{name}'", parameters]))
    return Patient("seeds=[0, 5]", *others, *overrides, f"interventions.it={{ {keys} }}")


def test_every_part_has_its_case() -> None:
    assert set(CASES) == {name for name, part in parts().items() if part.family == "intervention"}


@pytest.mark.parametrize("name", CASES)
def test_a_part_fires_and_learning_goes_on(name: str) -> None:
    it = patient(name)
    it.update(4)
    assert {event["seed"] for event in it.events} == {0, 1}
    assert all((event["entries_changed"] > 0) is (name not in STRUCTURE_OR_STATE) for event in it.events)
    assert all(bool(torch.isfinite(value).all()) for value in it.state().values() if value.is_floating_point())


def test_a_full_reset_is_a_new_agent() -> None:
    it, start = patient("full_reset"), patient("full_reset").state()
    it.update(3)
    state, before = it.state(), patient("full_reset").state()
    for name, value in state.items():
        if name.startswith("optimizers/"):
            assert not value.any(), name
        elif name.startswith("averages/"):
            assert torch.equal(value, state[name.replace("averages/target_critic", "networks/critic")]), name
        elif name.startswith("networks/") and before[name].std() > 0 and not name.endswith("temperature/value"):
            assert not torch.equal(value, start[name]), f"{name} is another draw"
    assert torch.equal(state["networks/temperature/value"], start["networks/temperature/value"])


def test_a_reset_of_moments_leaves_weights_and_keep_leaves_all() -> None:
    plain, zero = Patient("seeds=[0, 5]"), patient("moments_reset")
    nothing = Patient("seeds=[0, 5]", f"interventions.it={{ use = 'moments_reset', {AT}, moments = 'keep' }}")
    for each in (plain, zero, nothing):
        each.update(3)
    theirs = plain.state()
    changed = [name for name, value in zero.state().items() if not torch.equal(value, theirs[name])]
    assert changed and all(name.startswith("optimizers/critic/") for name in changed)
    assert all(torch.equal(value, theirs[name]) for name, value in nothing.state().items())


def test_the_hare_is_its_tortoise() -> None:
    it = patient("hare_and_tortoise")
    it.update(3)
    state = it.state()
    pairs = [name for name in state if name.startswith("averages/tortoise/")]
    assert pairs and all(torch.equal(state[n], state[n.replace("averages/tortoise", "networks/critic")]) for n in pairs)
    assert it.learner.optimizers["critic"].count("trunk.0.weight").tolist() == [3, 3], "optimizer state is kept"


def test_what_a_part_lacks_is_told() -> None:
    with pytest.raises(BlueprintError, match="no average named 'tortoise'"):
        tiny(DRIFT, f"interventions.it={{ use = 'hare_and_tortoise', {EVERY}, {CRITIC} }}")
    with pytest.raises(BlueprintError, match="did you mean 'use'"):
        tiny(DRIFT, "interventions.it={ uses = 'full_reset' }")


def test_the_penalty_stands_for_its_kind() -> None:
    used = tiny(DRIFT, "penalties.pull={ use = 'l2_init', where = ['critic.*'], coefficient = 0.5 }")
    assert used.penalties["pull"].kind == "l2_init" and used.penalties["pull"].coefficient == 0.5
