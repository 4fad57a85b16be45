"""The ledger: appended to, continued after a kill, never cut where it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.studies.execution.ledger import LEDGER, LedgerDamaged, holder_of, holding, read_account, runs_in


def kept(folder: Path) -> Path:
    """A ledger of three rows."""
    with holding(folder) as ledger:
        ledger.append("planned", "k", name="width=8")
        ledger.append("started", "k", launcher="local", job="1", answer="a.json", members=[])
        ledger.append("finished", "k", directory="../../runs/r", digest="d")
    return folder / LEDGER


def test_every_row_is_read_again_and_a_start_opens_a_run_anew(tmp_path: Path) -> None:
    folder = tmp_path / "studies" / "widths"
    kept(folder)
    entry = read_account(folder).of("k")
    assert entry.planned and entry.started and entry.ended and entry.starts == 1
    assert (entry.planned["name"], entry.started["job"], entry.ended["digest"]) == ("width=8", "1", "d")
    assert [*runs_in(folder)] == [tmp_path / "runs" / "r"] and runs_in(tmp_path) == {tmp_path: None}
    with holding(folder) as ledger:
        assert holder_of(folder) != ""
        ledger.append("started", "k", launcher="slurm", job="2", answer="b.json", members=[])
    entry = read_account(folder).of("k")
    assert entry.ended is None and entry.starts == 2 and entry.started and entry.started["launcher"] == "slurm"
    assert holder_of(folder) == "" and runs_in(folder) == {}


@pytest.mark.parametrize("left", [1, 9, 40])
def test_a_torn_last_line_is_cut_and_the_rest_goes_on(left: int, tmp_path: Path) -> None:
    path = kept(tmp_path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:left])
    account = read_account(tmp_path)
    assert account.of("k").ended is None and account.problem is not None and "torn" in account.problem
    with holding(tmp_path) as ledger:
        ledger.append("failed", "k", exit_code=7)
    account = read_account(tmp_path)
    assert account.problem is None and account.entries["k"].ended == {
        **account.entries["k"].ended,  # type: ignore[dict-item]
        "type": "failed",
        "exit_code": 7,
        "seq": 3,
    }


def test_damage_before_the_last_line_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    path = kept(tmp_path)
    damaged = path.read_bytes().replace(b"local", b"lokal")
    path.write_bytes(damaged)
    with (
        pytest.raises(LedgerDamaged, match=r"checksum does not fit.*move the ledger away") as caught,
        holding(tmp_path),
    ):
        raise AssertionError
    assert caught.value.exit_code == 3 and path.read_bytes() == damaged
    account = read_account(tmp_path)
    assert account.problem is not None and account.of("k").planned is not None
