"""Old files carried forward: nothing but what has to change changes, and a file is whole at every moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from composer.blueprint import BlueprintError
from composer.blueprint.schema import FORMAT
from composer.blueprint.syntax.migrate import STEPS, Migration, migrate, migrate_files, substituted, write
from composer.blueprint.syntax.positions import scan

OLD = """\
# A comment that stays.
blueprint = 1     # the format
name = "old"      # old_name is not a key here

[training]
steps = 1_000     # counted in the environment
note = "steps"
[variants.long]
training = { steps = 9_000 }   # a variant too
"""
NEW = """\
# A comment that stays.
blueprint = 2     # the format
name = "old"      # old_name is not a key here

[training]
env_steps = 1_000     # counted in the environment
note = "steps"
[variants.long]
training = { env_steps = 9_000 }   # a variant too
"""


def rename(text: str) -> str:
    """A step: ``training.steps`` becomes ``training.env_steps``, in variants too."""
    found = [path for path in scan(text).places if path[-2:] == ("training", "steps")]
    return substituted(text, [(path, "steps", "env_steps") for path in found], keys=True)


def mark(text: str) -> str:
    """Another step, which must see what the one before has left."""
    assert "env_steps" in text
    return text + "# marked\n"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.toml"
    path.write_text(OLD)
    return path


def test_there_is_a_step_for_every_format_but_the_newest() -> None:
    assert len(STEPS) == FORMAT - 1


def test_a_step_keeps_comments_and_layout(old: Path) -> None:
    made = migrate(old, (rename,))
    assert made.after == NEW
    assert (made.old, made.new) == (1, 2)
    changed = [line for line in made.diff().splitlines() if line[0] in "+-" and line[:3] not in ("---", "+++")]
    assert [line for line in changed if line.startswith("-")] == [
        "-blueprint = 1     # the format",
        "-steps = 1_000     # counted in the environment",
        "-training = { steps = 9_000 }   # a variant too",
    ]
    assert len(changed) == 6
    assert old.read_text() == OLD, "nothing is written before it is asked for"


def test_steps_follow_each_other_from_where_a_file_stands(old: Path) -> None:
    assert migrate(old, (rename, mark)).after == NEW.replace("= 2 ", "= 3 ") + "# marked\n"
    old.write_text(NEW)
    assert migrate(old, (rename, mark)).after == NEW.replace("= 2 ", "= 3 ") + "# marked\n"
    assert migrate(old, (rename,)).diff() == ""


def test_line_ends_and_byte_order_mark_stay(old: Path) -> None:
    old.write_bytes(b"\xef\xbb\xbf" + OLD.replace("\n", "\r\n").encode())
    write([migrate(old, (rename,))])
    assert old.read_bytes() == b"\xef\xbb\xbf" + NEW.replace("\n", "\r\n").encode()


def test_writing_replaces_the_file_behind_a_link_and_keeps_its_mode(old: Path, tmp_path: Path) -> None:
    old.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(old)
    write([migrate(link, (rename,))])
    assert link.is_symlink()
    assert old.read_text() == NEW
    assert old.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.toml", "old.toml"], "nothing is left behind"


def test_a_failed_write_leaves_the_old_file(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    made = migrate(old, (rename,))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write([made])
    assert old.read_text() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["old.toml"], "nothing is left behind"


def test_a_file_of_the_newest_format_is_left_alone(old: Path) -> None:
    made = migrate(old)
    assert (made.old, made.new, made.diff()) == (1, 1, "")
    before = old.stat()
    write([made])
    assert old.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name = "x"\n', "old.toml:1:1: says no format; a blueprint of this composer begins with blueprint = 1"),
        (
            "# c\nblueprint = 7\n",
            "old.toml:2:13: blueprint: format 7 needs a newer composer; this one reads formats up to 1",
        ),
        ("blueprint = true\n", "old.toml:1:13: blueprint: a format is a whole number from 1, got boolean true"),
        ("blueprint = 0\n", "old.toml:1:13: blueprint: a format is a whole number from 1, got integer 0"),
        ('blueprint = "1"\n', 'old.toml:1:13: blueprint: a format is a whole number from 1, got string "1"'),
    ],
)  # fmt: skip
def test_formats_that_are_none(text: str, expected: str, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(old.parent)
    old.write_text(text)
    with pytest.raises(BlueprintError) as caught:
        migrate(Path("old.toml"))
    assert str(caught.value) == expected


def test_the_problems_of_all_files_are_told(old: Path, tmp_path: Path) -> None:
    with pytest.raises(BlueprintError) as caught:
        migrate_files([tmp_path / "a.toml", old, tmp_path / "b.toml"])
    assert [Path(problem.file).name for problem in caught.value.problems] == ["a.toml", "b.toml"]
    made: list[Migration] = migrate_files([old])
    assert [one.path for one in made] == [old]


def test_what_does_not_stand_there_is_not_replaced() -> None:
    with pytest.raises(ValueError, match="does not stand"):
        substituted("a = 1\n", [(("a",), "2", "3")])
    assert substituted("a = 1\nb.c = [1, 1]\n", [(("b", "c", 1), "1", "22"), (("a",), "1", "0")]) == (
        "a = 0\nb.c = [1, 22]\n"
    )
