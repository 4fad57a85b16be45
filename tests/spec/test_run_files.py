"""Files of a run directory: UTF-8 in any locale, links not followed when written, devices not read."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from composer.spec.run_files import LinkRefused, open_to_write, read_bytes, read_table, read_text, write_text
from composer.tracking.journal import Journal
from composer.tracking.locks import open_lock

SOURCES = Path(__file__).parents[2] / "composer"
WRITERS = {
    "text": lambda path: write_text(path, "ours"),
    "truncated": lambda path: os.close(open_to_write(path, os.O_TRUNC)),
    "appended": lambda path: os.close(open_to_write(path, os.O_APPEND)),
    "journal": lambda path: Journal(path).close(),
    "lock": lambda path: os.close(open_lock(path)),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("target", ["file", "missing", "/dev/null", "folder"])
def test_no_writer_follows_a_link(write, target: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("theirs")
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / target)
    with pytest.raises(LinkRefused, match=r"link is a symbolic link; composer does not write through it") as refused:
        write(link)
    assert refused.value.exit_code == 3
    assert (tmp_path / "file").read_text() == "theirs" and not (tmp_path / "missing").exists()


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("kind", ["pipe", "folder", "read pipe"])
def test_no_writer_waits_for_a_pipe_or_writes_into_a_folder(write, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "there"
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if kind == "read pipe" else None
    with pytest.raises(LinkRefused, match="there is no regular file"):
        write(path)
    if reader is not None:
        os.close(reader)


def test_text_is_utf_8_and_a_name_that_is_not_stays_as_it_is(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "Größe → ∞")
    assert (tmp_path / "a").read_bytes() == "Größe → ∞".encode()
    assert read_text(tmp_path / "a") == "Größe → ∞"
    write_text(tmp_path / "a", os.fsdecode(b"/home/\xe9"))
    assert (tmp_path / "a").read_bytes() == b"/home/\xe9"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"", "Expecting value"),
        (b'{"a": "\xff"}', "utf-8"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "integer"),
    ],
)
def test_a_table_that_is_none_is_a_value_error(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        read_table(tmp_path / "run.json")


def test_devices_pipes_and_floods_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(ValueError, match="no regular file"):
            read_bytes(tmp_path / name)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="1,099,511,627,776 bytes; limit"):
        read_bytes(tmp_path / "sparse")
    with pytest.raises(ValueError, match="no regular file"):
        read_bytes(tmp_path)


def _in_the_locale(call: ast.Call) -> bool:
    """Whether a call reads or writes text in the locale's encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in ("run", "Popen", "check_output") and {"text", "universal_newlines"} & set(given):
        return "encoding" not in given
    if name == "read_text":  # A path's takes the encoding first, a distribution's the name of a file, in UTF-8.
        return isinstance(call.func, ast.Attribute) and "encoding" not in given and not call.args
    if name == "write_text":
        return isinstance(call.func, ast.Attribute) and "encoding" not in given
    if name in ("open", "fdopen", "NamedTemporaryFile"):
        modes = [*call.args, given.get("mode")]
        texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
        of_os = isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "os" and name == "open"
        return not of_os and "formats" not in given and "encoding" not in given and not any("b" in m for m in texts)
    return False


def test_no_file_is_opened_in_the_encoding_of_the_locale() -> None:
    found = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path in sorted(SOURCES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and _in_the_locale(node)
    ]
    assert found == []
