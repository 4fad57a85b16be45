"""The journal: what is written comes back, whatever is cut, flipped or killed."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.tracking.journal import BUFFER_BYTES, Journal, JournalError, JournalRow, decode, encode, read


def metrics(step: int, **values: float) -> JournalRow:
    return {"type": "metrics", "env_step": step, "seed": 0, "metrics": values}


def write(path: Path, rows: int) -> list[int]:
    """A journal of ``rows`` rows; the offsets after each."""
    offsets = []
    with Journal(path) as journal:
        for step in range(rows):
            journal.append(metrics(step, loss=step / 3))
            offsets.append(journal.flush())
    return offsets


def same(left: object, right: object) -> bool:
    """Equality that tells 0.0 from -0.0 and finds nan equal to itself."""
    return repr(left) == repr(right)


def test_a_row_is_one_line_of_checksum_and_json(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        assert journal.append(metrics(7, a=0.1, b=-math.inf)) == 1
    body = b'{"seq":1,"type":"metrics","env_step":7,"seed":0,"metrics":{"a":0.1,"b":"-inf"}}'
    assert (tmp_path / "j").read_bytes() == b"b0acb05f " + body + b"\n"


KEYS = st.text().filter(lambda key: key != "$float")
NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**70), 2**70)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), NUMBERS), st.dictionaries(KEYS, VALUES))
def test_every_value_comes_back_bit_for_bit(numbers: dict[str, float], data: dict[str, object]) -> None:
    row = {"seq": 1, "type": "event", "metrics": numbers, "data": data}
    assert same(decode(encode(row)), row)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"metrics": {"loss": "nan"}}, "metric 'loss': expected a number, got str"),
        ({"metrics": {"done": True}}, "metric 'done': expected a number, got bool"),
        ({"data": {"path": [Path("x")]}}, r"data\.path\[0\]: a journal holds .*, not PosixPath"),
        ({"data": {3: "x"}}, "data: keys must be strings"),
        ({"data": {"$float": "x"}}, r"data: .*\$float"),
        ({"seq": 9}, "cannot have its own 'seq'"),
    ],
)
def test_a_refused_row_leaves_the_journal_as_it_was(tmp_path: Path, row: JournalRow, problem: str) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.append(metrics(1, loss=1.0))
        with pytest.raises(TypeError, match=problem):
            journal.append(row)
        assert journal.append(metrics(2, loss=2.0)) == 2
    assert [row["seq"] for row in read(tmp_path / "j")] == [1, 2]


def test_a_file_cut_at_any_byte_gives_the_whole_rows_before_it(tmp_path: Path) -> None:
    path = tmp_path / "j"
    offsets = write(path, 5)
    whole = path.read_bytes()
    for size in range(offsets[1], len(whole) + 1):
        path.write_bytes(whole[:size])
        reader = read(path)
        kept = [row["seq"] for row in reader]
        assert kept == list(range(1, 1 + sum(offset <= size for offset in offsets)))
        assert reader.problem == (None if size in offsets else f"byte {reader.offset}: the last line is torn")


def test_any_flipped_bit_of_a_line_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    first, second, _ = write(path, 3)
    whole = path.read_bytes()
    for bit in range(8 * first, 8 * second):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        reader = read(path)
        assert [row["seq"] for row in reader] == [1]
        assert reader.problem is not None and reader.problem.startswith(f"byte {first}: ")


def test_a_lost_line_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    first, second, _ = write(path, 3)
    whole = path.read_bytes()
    path.write_bytes(whole[:first] + whole[second:])
    reader = read(path)
    assert [row["seq"] for row in reader] == [1]
    assert reader.problem == f"byte {first}: row 3 follows row 1"


def test_a_reader_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "j"
    reader = read(path)
    assert list(reader) == [] and reader.problem is None
    journal = Journal(path)
    for step in range(3):
        journal.append(metrics(step, x=1.0))
        assert list(reader) == []  # it waits in memory
        journal.flush()
        assert [row["env_step"] for row in reader] == [step]
    journal.close()


def test_resume_cuts_to_the_checkpoint_and_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "j"
    offsets = write(path, 6)
    whole = path.read_bytes()
    for done, offset in enumerate([0, *offsets]):
        path.write_bytes(whole + b"0badc0de torn")
        with Journal.resume(path, offset) as journal:
            assert (journal.seq, journal.offset, path.stat().st_size) == (done, offset, offset)
            for step in range(done, 6):
                journal.append(metrics(step, loss=step / 3))
        assert path.read_bytes() == whole


def test_resume_refuses_what_is_not_the_checkpoint_s_journal(tmp_path: Path) -> None:
    path = tmp_path / "j"
    first, second, third = write(path, 3)
    whole = path.read_bytes()
    with pytest.raises(JournalError, match=f"has {third} bytes; the checkpoint was taken at byte {third + 1}"):
        Journal.resume(path, third + 1)
    with pytest.raises(JournalError, match=f"no row ends at byte {second - 1}"):
        Journal.resume(path, second - 1)
    path.write_bytes(whole.replace(b'"env_step":0', b'"env_step":1'))
    with pytest.raises(JournalError, match="byte 0: the line's checksum does not fit"):
        Journal.resume(path, first)
    with pytest.raises(JournalError, match="no such journal"):
        Journal.resume(tmp_path / "absent", 0)
    with pytest.raises(JournalError, match="already holds"):
        Journal(path)
    assert path.stat().st_size == third  # nothing was cut by what was refused


def test_rows_reach_the_file_by_themselves_when_the_buffer_is_full(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        while not journal.offset:
            journal.append({"type": "event", "env_step": 0, "name": "filler", "data": {"text": "x" * 1000}})
        assert BUFFER_BYTES <= journal.offset < BUFFER_BYTES + 2000


def test_a_full_disk_loses_nothing_once_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j"
    whole_write = os.pwrite
    short = [6, 4]

    def pwrite(file: int, data: memoryview, offset: int) -> int:
        if not short:
            raise OSError(28, "No space left on device")
        return whole_write(file, data[: short.pop()], offset)

    journal = Journal(path)
    journal.append(metrics(1, x=1.0))
    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(OSError, match="No space"):
        journal.flush()
    assert (journal.offset, path.stat().st_size) == (0, 10)
    journal.append(metrics(2, x=2.0))
    monkeypatch.setattr(os, "pwrite", whole_write)
    journal.close()
    reader = read(path)
    assert [row["env_step"] for row in reader] == [1, 2] and reader.problem is None


def test_a_clock_gives_every_row_its_time(tmp_path: Path) -> None:
    times = iter([1.5, 2.5])
    with Journal(tmp_path / "timing.jsonl", clock=lambda: next(times)) as journal:
        journal.append({"type": "timing", "env_step": 1, "metrics": {"seconds": 3.0}})
        journal.append({"type": "timing", "env_step": 2, "metrics": {"seconds": 4.0}})
    assert [row["time"] for row in read(tmp_path / "timing.jsonl")] == [1.5, 2.5]


WRITER = """
import sys
from pathlib import Path
from composer.tracking.journal import Journal
journal = Journal(Path(sys.argv[1]))
for step in range(10**9):
    journal.append({"type": "metrics", "env_step": step, "seed": 0, "metrics": {"x": step / 7}})
    if step % 50 == 0:
        journal.flush()
        if step == 2000:
            print("writing", flush=True)
"""


def test_kill_9_while_writing_leaves_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "j"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"writing\n"
        writer.send_signal(signal.SIGKILL)
    reader = read(path)
    steps = [row["env_step"] for row in reader]
    assert len(steps) > 2000 and steps == list(range(len(steps)))
    with Journal.resume(path, reader.offset) as journal:
        assert journal.seq == len(steps)


def test_rows_reach_the_device_only_when_asked_for_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size) or fsync(file))
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append({"type": "event"})
        assert (journal.flush() > 0, synced) == (True, [])
        first = journal.flush(sync=True)
        journal.append({"type": "event"})
        assert synced == [first]
    assert synced == [first, 2 * first]


def test_words_of_any_language_are_written_as_they_are(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append({"type": "event", "name": "Gänse, 鵝"})
    assert "Gänse, 鵝".encode() in (tmp_path / "journal.jsonl").read_bytes()
    assert [row["name"] for row in read(tmp_path / "journal.jsonl")] == ["Gänse, 鵝"]
