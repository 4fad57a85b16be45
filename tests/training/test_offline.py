"""Learning from a data set, and then from environments: what is drawn, what is counted, and runs that stop between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from recorded import drift_columns, drift_file, offline
from tiny_runs import EVENTFUL, begin, finished, go_on, interactions, result, resumed, rows, stopped, tiny
from torch import Tensor

from composer.blueprint import BlueprintError, load
from composer.blueprint.forecast.metrics import written_metrics
from composer.training import assemble, launch
from composer.training.assemble.resumed_run import NotTheSame, load_agent
from composer.training.collect.data_replay import DataSource
from composer.training.fork import NotForkable
from composer.training.session import Session

TD7 = Path(__file__).parents[1] / "tiny_td7.toml"
REFRESH = (
    "interventions.refresh={ when = { kind = 'every', interval = 1, clock = 'phase' }, where = ['actor.head.*'], "
    "do = { kind = 'lerp', toward = { kind = 'fresh' }, amount = 0.5 } }"
)
LATER = ", offline_env_steps = 60"
PLAIN = (*EVENTFUL, "algorithm.n_step=1", "normalization.observation={ kind = 'data_moments' }")


def source_of(session: Session) -> DataSource:
    source = session.collector.replay
    assert isinstance(source, DataSource)
    return source


def is_of_data(observation: Tensor) -> Tensor:
    """Which of observations ``[B, 3]`` are those of the data."""
    known = torch.from_numpy(drift_columns()["observations"])
    return (observation[:, None] == known).all(-1).any(-1)


@pytest.mark.parametrize("online", [pytest.param("mix"), pytest.param("keep", marks=pytest.mark.slow, id="keep")])
def test_resume_in_either_part_and_between_is_exact(online: str, tmp_path: Path) -> None:
    """Slow for the mode that the other one nearly covers: a run is resumed at each of several moments."""
    path = drift_file(tmp_path)
    more = f"{LATER}, online = '{online}', score_references = [-10.0, 30.0]"
    overrides = [*EVENTFUL, offline(path, more), REFRESH]
    whole, session = finished(tmp_path / "whole", *overrides)
    written = {name for row in rows(whole) if row["type"] == "metrics" for name in row["metrics"]}
    assert written <= {each.metric.name for each in written_metrics(tiny(*overrides))}
    assert {"training/phase", "evaluation/normalized_score"} <= written
    assert [row["env_step"] for row in rows(whole) if row["type"] == "event" and row["seed"] == 5] == [60]
    assert session.clock.updates == 84 == int(session.learner.updates[0])
    for at in (30, 59) if online == "mix" else (58, 60, 100):
        run, session = begin(tmp_path / f"{at}", *overrides)
        assert result(resumed(stopped(run, session, at))) == result(whole), at


def test_scores_lie_between_the_references(tmp_path: Path) -> None:
    references = ", score_references = [-10.0, 30.0]"
    run, session = begin(tmp_path, *PLAIN, offline(drift_file(tmp_path), references), "training.env_steps=10")
    returns = session.evaluator.returns(session.learner, 0)
    found = [row["evaluation/normalized_score"] for row in session.evaluator.more(session.learner, 0)]
    np.testing.assert_allclose(found, 100 * (returns.mean(1) + 10) / 40)
    session.close()
    run.close()


def test_other_data_are_refused_on_resume(tmp_path: Path) -> None:
    run, session = begin(tmp_path, *PLAIN, offline(drift_file(tmp_path)), "training.env_steps=20")
    path = stopped(run, session, 5)
    drift_file(tmp_path, rewards=drift_columns()["rewards"] + 1)
    with pytest.raises(NotTheSame, match=r"data: [0-9a-f]{64} then"):
        assemble.resume(path)


def test_the_offline_part_steps_no_environment_and_draws_the_data(tmp_path: Path) -> None:
    columns = drift_columns()
    changed = ", rewards = { factor = 2.0, offset = -1.0 }"
    run, session = begin(tmp_path, *PLAIN, offline(drift_file(tmp_path), changed), "training.env_steps=10")
    statistics = session.learner.statistics
    assert statistics is not None
    deviation = columns["observations"].astype(np.float64).std(0) + 1e-3
    seen = statistics.normalise(torch.from_numpy(columns["observations"])[None].expand(2, -1, -1))
    expected = (columns["observations"] - columns["observations"].mean(0, dtype=np.float64)) / deviation
    torch.testing.assert_close(seen[0].double(), torch.from_numpy(expected), atol=1e-5, rtol=1e-5)
    for _ in interactions(session):
        assert source_of(session).own.added == 0
    drawn = session.collector.batch().transitions
    assert is_of_data(drawn.observation[0]).all() and not torch.equal(drawn.observation[0], drawn.observation[1])
    at = (drawn.observation[0, :, None] == torch.from_numpy(columns["observations"])).all(-1).int().argmax(1)
    reward = 2 * (columns["rewards"].astype(np.float64) - 1)
    np.testing.assert_array_equal(drawn.reward[0], reward[at].astype(np.float32))
    np.testing.assert_array_equal(drawn.next_observation[0], columns["next_observations"][at])
    np.testing.assert_array_equal(drawn.bootstrap[0] == 0, columns["terminals"][at])
    run.close()
    session.close()


@pytest.mark.parametrize(("online", "share"), [("mix", 0.5), ("keep", 0.25), ("replace", 1.0)])
def test_shares_of_own_transitions(online: str, share: float, tmp_path: Path) -> None:
    count = len(drift_columns()["rewards"])
    steps = count // 3  # With all of them kept, a quarter of all.
    long = (f"training.env_steps={60 + steps}", "replay.capacity=200", "algorithm.update_to_data=0.1")
    path = drift_file(tmp_path)
    more = f"{LATER}, online = '{online}', rewards = {{ factor = 3.0 }}"
    run, session = begin(tmp_path, *PLAIN, *long, "diagnostics={ measures = [] }", offline(path, more))
    for _ in interactions(session):
        if session.clock.interactions == 66:  # Six own transitions are fewer than a half batch, or a whole one.
            first = is_of_data(session.collector.batch().transitions.observation[0])
            assert first.all() or online == "keep"
    source = source_of(session)
    assert source.own.added == steps
    drawn = torch.cat([session.collector.batch().transitions.observation[0] for _ in range(60)])
    found = 1 - float(is_of_data(drawn).float().mean())
    assert found == pytest.approx(share, abs=0 if online != "keep" else 0.04)
    probe = source.sample(32, 1, session.learner.discount, session.learner.replay_generators)
    assert 1 - float(is_of_data(probe.observation[1]).float().mean()) == pytest.approx(share, abs=0.02)
    newest = source.newest(1, 1, session.learner.discount)
    # Own rewards are changed as those of the data are: 1 - |x|, three times.
    assert newest.reward[0, 0] == pytest.approx(3 * (1 - abs(float(newest.next_observation[0, 0, 0]))), abs=1e-5)
    run.close()
    session.close()


def test_priorities_of_data_and_of_own_transitions_are_each_their_own(tmp_path: Path) -> None:
    """As many draws of each as are declared, reports to each, and a state that holds both."""
    path = drift_file(tmp_path)
    overrides = ["training.env_steps=60", "~averages.checkpoint_actor", "~averages.checkpoint_state_encoder"]
    overrides.append(offline(path, ", offline_env_steps = 20"))
    run, session = assemble.start(load(TD7, overrides).blueprint, tmp_path, None)
    go_on(session)
    saved = session.collector.snapshot().tensors
    data, own = saved["data/priorities"], saved["replay/priorities"]
    assert data.shape == (1, len(drift_columns()["rewards"])) and own.shape[1] == 40
    assert (data > 0).all() and (own > 0).all()
    assert len(data.unique()) > 5 and len(own.unique()) > 1
    assert int(saved["data/reports"]) == 60 and 20 <= int(saved["replay/reports"]) <= 40
    run.close()
    with pytest.raises(BlueprintError, match="kept apart"):
        load(TD7, [*overrides[:-1], offline(path, ", offline_env_steps = 20, online = 'keep'")])


@pytest.mark.slow
def test_a_fork_goes_on_offline_and_may_change_when_it_acts(tmp_path: Path) -> None:
    """Slow because it takes three runs: a fork that acts later is the run that was declared so, to the bit."""
    path = drift_file(tmp_path)
    short = [*PLAIN, "training.env_steps=80"]
    _, expected = finished(tmp_path / "whole", *short, offline(path, LATER))
    origin, _ = finished(tmp_path / "origin", *short, offline(path))
    forked = launch.fork(origin, ["environment.offline_env_steps=60"], 40, 0, tmp_path / "forks", quiet=True).path
    _, agent, _ = load_agent(forked)
    for name, value in expected.learner.tensors().items():
        assert torch.equal(agent.tensors()[name], value), name
    with pytest.raises(NotForkable, match=r"environment\.offline_env_steps"):
        launch.fork(origin, ["environment.offline_env_steps=60"], 80, 0, tmp_path / "forks", quiet=True)
