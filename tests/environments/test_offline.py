"""The declaration of offline learning: what it says of a run, without data or environments."""

from __future__ import annotations

from pathlib import Path

import pytest
from drift import Drift as Drift
from recorded import drift_columns, drift_file, offline
from tiny_runs import TINY

from composer.blueprint import BlueprintError, load
from composer.blueprint.forecast.clock import clock_of, lengths_of
from composer.blueprint.forecast.memory import allocated, forecast
from composer.blueprint.forecast.timeline import timeline
from composer.blueprint.load import report

PPO = Path(__file__).parents[1] / "tiny_ppo.toml"
SHORT = ("training.env_steps=100", "training.log_every=50", "evaluation.every=50", "checkpoint.every=50")


def test_clocks_run_as_online_and_nothing_is_warmed_up(tmp_path: Path) -> None:
    path = drift_file(tmp_path)
    found = load(TINY, [*SHORT, offline(path, ", offline_env_steps = 60, copies = 2, action_repeat = 2")]).blueprint
    clock = clock_of(found)
    assert (clock.stride, clock.updates_after(1), clock.updates_after(25)) == (4, 1, 25)
    assert lengths_of(found).phase == 1
    words = [moment.event for moment in timeline(found)]
    size = len(drift_columns()["rewards"])
    assert f"offline: {size} transitions of drift.npz" in words
    assert "online: test/drift, half of each batch from the data" in words


def test_memory_counts_the_data_once_and_own_transitions_as_far_as_there_are_any(tmp_path: Path) -> None:
    """A row is two observations of 3, 2 actions, a reward and two flags: 11 floats."""
    path, row, size = drift_file(tmp_path), 4 * 11, len(drift_columns()["rewards"])
    alone = load(TINY, [*SHORT, offline(path), "seeds=[0, 1]"]).blueprint
    assert (forecast(alone).data, forecast(alone).replay) == (size * row, 0)
    later = load(TINY, [*SHORT, offline(path, ", offline_env_steps = 60"), "seeds=[0, 1]"]).blueprint
    assert (forecast(later).data, allocated(later).replay) == (size * row, 2 * 40 * row)
    assert forecast(later).on_disk().disk == forecast(later).data + forecast(later).replay
    gone = load(TINY, [*SHORT, offline(tmp_path / "gone.npz")]).blueprint
    assert forecast(gone).data == 0


@pytest.mark.parametrize(
    ("file", "more", "message"),
    [
        (PPO, ", offline_env_steps = 8", "PPO does not learn from transitions of other policies"),
        (TINY, ", offline_env_steps = 3, action_repeat = 2", "3 is not a multiple of one interaction, 2"),
        (TINY, ", online = 'mixed'", "mix"),
    ],
)
def test_what_is_refused(file: Path, more: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match=message):
        load(file, [offline(drift_file(tmp_path), more)])


def test_moments_of_data_need_data(tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match="'test/drift' has no data set, whose moments these would be"):
        load(TINY, ["environment={ kind = 'test/drift' }", "normalization.observation={ kind = 'data_moments' }"])
    assert not report(TINY, [*SHORT, offline(drift_file(tmp_path))]).warnings
