"""What a noisy start costs on digits, and that forgetting most of it pays: signs that ten seeds showed clearly.

The figures are in docs/benchmarks/warm-start.md; here the first five seeds say the same.
"""

from __future__ import annotations

import numpy as np
import pytest

from composer import api
from composer.blueprint import load
from composer.spec.package_files import blueprints_root

pytestmark = pytest.mark.learning
SEEDS = "seeds=[0, 1, 2, 3, 4]"


@pytest.fixture(scope="module")
def accuracy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """On held-out digits at the end, the mean over seeds, by variant."""
    path, found = blueprints_root() / "warm_start" / "digits.toml", {}
    for variant in (None, "cold_start", "shrink_and_perturb", "hare_tortoise_fast"):
        loaded = load(path, [SEEDS, 'tracking={kind="none"}'], variant)
        result = api.train(loaded.blueprint, tmp_path_factory.mktemp("runs"), variant=variant)
        found[variant or "base"] = float(np.mean(result.final_return))
    return found


def test_every_way_learns_the_digits(accuracy: dict[str, float]) -> None:
    """Chance is 0.1."""
    assert min(accuracy.values()) > 0.85


def test_a_noisy_start_costs_accuracy(accuracy: dict[str, float]) -> None:
    assert accuracy["cold_start"] > accuracy["base"] + 0.005


@pytest.mark.parametrize("remedy", ["shrink_and_perturb", "hare_tortoise_fast"])
def test_a_remedy_wins_it_back(remedy: str, accuracy: dict[str, float]) -> None:
    assert accuracy[remedy] > accuracy["base"] + 0.005
