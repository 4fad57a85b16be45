"""Files that are no blueprints: what is said about bytes, encodings, sizes and parents; never a traceback."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from composer.blueprint import check, digest, load
from composer.blueprint.syntax.read import MAX_BYTES


def said(path: str | Path) -> list[str]:
    """Problems as lines."""
    return [str(problem) for problem in check(path)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "b.toml:1:1: empty; needs [environment], [algorithm], [networks], [optimizers] and [training]"),
        (b"# only a comment", "b.toml:1:1: empty; needs [environment], [algorithm], [networks]"),
        (b"a" * (MAX_BYTES + 1), "b.toml:1:1: 65,537 bytes; limit 64 KiB"),
        (b"a = 1\n" * 1_700_000, "b.toml:1:1: 10,200,000 bytes; limit 64 KiB"),
        (b"x = " + b"9" * 5_000, "b.toml:1:2001: line of 5,004 characters; limit 2,000"),
        (b"a = 1\rb = 2", "b.toml:1:6: a carriage return without a line feed; save with line ends of LF or CRLF"),
        (b"a = 1\nb = '" + b"x" * 2_000 + b"'", "b.toml:2:2001: line of 2,006 characters; limit 2,000"),
        (b"x = " + b"[" * 1_000, "b.toml:1:37: nested deeper than 32"),
        (b"x = " + b"{ a = " * 300, "b.toml:1:197: nested deeper than 32"),
        (b".".join([b"a"] * 900) + b" = 1", "b.toml:1:1803: nested deeper than 32"),
        (b"x = " + b"9" * 1_900, f"x: must be in -2^63 to 2^63-1, got integer {'9' * 40}... (1900 characters)"),
        (b"a = \xff", "b.toml:1:5: not UTF-8 at byte 4"),
        (b"a = 1\n\xc3\xa9 \xff", "b.toml:2:4: not UTF-8 at byte 9"),
        ("a = 1".encode("utf-16"), "b.toml:1:1: looks like UTF-16; save as UTF-8"),
        ("a = 1".encode("utf-16-le"), "b.toml:1:1: looks like UTF-16; save as UTF-8"),
        (b"a = 1979-02-30", "b.toml:1:5: not TOML: invalid date or datetime"),
        (b"[a", "b.toml:1:3: not TOML: expected ']' at the end of a table declaration"),
        (b"\x00\x01", "b.toml:1:1: looks like UTF-16; save as UTF-8"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_blueprint(
    data: bytes, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.toml").write_bytes(data)
    assert any(expected in line for line in said("b.toml")), said("b.toml")


def test_things_that_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("folder").mkdir()
    assert said("absent.toml") == ["absent.toml:1:1: no such file; 'composer list' shows the blueprints that there are"]
    assert said("folder") == ["folder:1:1: is a directory; pass its .toml file"]
    assert said("pipe") == ["pipe:1:1: not a regular file"]
    assert said("/dev/zero") == ["/dev/zero:1:1: not a regular file"]
    assert said("a\0b") == ["a\\x00b:1:1: cannot be read (embedded null byte)"]
    assert said("x" * 300) == [f"{'x' * 300}:1:1: cannot be read (File name too long)"]


def test_byte_order_mark_and_line_ends_change_nothing(sound: str, spoil: Callable[[str, str], Path]) -> None:
    path = spoil("", "")
    plain = digest(load(path).blueprint)
    for data in (b"\xef\xbb\xbf" + sound.encode(), sound.replace("\n", "\r\n").encode()):
        path.write_bytes(data)
        assert digest(load(path).blueprint) == plain


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.toml": 'extends = "a.toml"'}, "a.toml:1:11: extends: 'a.toml' extends itself"),
        (
            {"a.toml": 'extends = "b.toml"', "b.toml": 'extends = "c.toml"', "c.toml": 'extends = "a.toml"'},
            "c.toml:1:11: extends: inheritance cycle: a.toml → b.toml → c.toml → a.toml",
        ),
        (
            {"a.toml": 'extends = "b.toml"', "b.toml": 'extends = "./b.toml"'},
            "b.toml:1:11: extends: 'b.toml' extends itself",
        ),
        ({"a.toml": 'extends = "b.toml"'}, "a.toml:1:11: extends: no such file: b.toml"),
        (
            {"a.toml": 'extends = "../b.toml"'},
            "a.toml:1:11: extends: must be in the folder",
        ),
        (
            {"a.toml": 'extends = "/etc/b.toml"'},
            "a.toml:1:11: extends: must be in the folder",
        ),
        ({"a.toml": 'extends = "quickstrat"'}, "a.toml:1:11: extends: no blueprint named 'quickstrat'; did you"),
        ({"a.toml": 'extends = "../../etc/passwd"'}, "a.toml:1:11: extends: no blueprint named '../../etc/passwd'; on"),
        ({"a.toml": "extends = 3"}, "a.toml:1:11: extends: expected string, got integer 3"),
        ({"a.toml": 'extends = "b\\u0000.toml"'}, 'a.toml:1:11: extends: no such file: "b\\u0000.toml"'),
        ({"a.toml": 'extends = "b.toml"', "b.toml": "x ="}, "b.toml:1:4: not TOML: invalid value"),
    ],
)  # fmt: skip
def test_parents(files: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        Path(name).write_text(text)
    (line,) = said("a.toml")
    assert line.startswith(expected)


def test_a_link_does_not_lead_a_parent_out_of_its_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.toml").write_text("x = 1")
    (inner / "link.toml").symlink_to(tmp_path / "secret.toml")
    (inner / "a.toml").write_text('extends = "link.toml"')
    assert "must be in the folder" in said(inner / "a.toml")[0]


def test_a_long_line_of_parents_ends(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.toml").write_text(f'extends = "{number + 1}.toml"')
    assert "more than 16 parents in a chain" in said(tmp_path / "0.toml")[0]


def _reference(number: int) -> str:
    return f'"${{values.v{number}}}"'


@pytest.mark.parametrize(
    "text",
    [
        "v0 = [1]\n" + "\n".join(f"v{n} = [{', '.join([_reference(n - 1)] * 9)}]" for n in range(1, 9)),
        "\n".join(f"v{n} = {_reference(n + 1)}" for n in range(900)),
        "\n".join(f"v{n} = {{ x = {_reference(n + 1)} }}" for n in range(900)),
    ],
    ids=["nine to the ninth", "long chain", "deep chain"],
)  # fmt: skip
def test_references_that_multiply_end_quickly(text: str, tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(f"[values]\n{text}")
    start = time.process_time()
    reported = said(tmp_path / "b.toml")
    assert any("grows beyond" in line or "references lead deeper" in line for line in reported)
    assert time.process_time() - start < 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n".join(f"[networks.a{n}]\nb = 1" for n in range(2_500)), "networks.a0.b: unknown key"),
        ("\n".join(f'n{n} = "${{values.v{n}}}"' for n in range(2_300)), "n0: there is no value 'values.v0'"),
        ("[values]\n" + "\n".join(f"v{n} = {n}" for n in range(4_500)), "values.v0: nothing refers to this value"),
        (
            "\n".join(f'n{n} = "${{values.v{n}}}"' for n in range(1_200))
            + "\n[values]\n" + "\n".join(f"w{n} = {n}" for n in range(2_000)),
            "values.w0: nothing refers to this value",
        ),
        ("\n".join(f"[variants.v{n}]\nx = 1" for n in range(2_700)), "variants: 2,700 variants; limit 64"),
        (
            "\n".join(f"[networks.a{n}]\nb = 1" for n in range(2_000)) + "\n"
            + "\n".join(f"[variants.v{n}]\nx = 1" for n in range(64)),
            "networks.a0.b: unknown key",
        ),
    ],
    ids=["networks", "references", "values", "both", "variants", "networks and variants"],
)  # fmt: skip
def test_a_text_that_is_wrong_everywhere_is_answered_quickly(text: str, expected: str, tmp_path: Path) -> None:
    """Alone times the largest wrong files."""
    (tmp_path / "b.toml").write_text(text)
    start = time.process_time()
    reported = said(tmp_path / "b.toml")
    assert time.process_time() - start < 2
    assert any(expected in line for line in reported)


_FRAGMENTS = st.sampled_from(
    ["a", "=", "1", '"', "'", '"""', "[", "]", "[[", "{", "}", ".", ",", "\n", "#", "${values.a}", "values", "use",
     "kind", "variants", "extends", "requires", "inf", "1979-05-27", "\\", "\r", "\t", "é", "\0", "simba"]
)  # fmt: skip


@settings(max_examples=150, deadline=2_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400) | st.lists(_FRAGMENTS, max_size=60).map(lambda parts: "".join(parts).encode()))
def test_any_bytes_are_checked_without_a_traceback(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_bytes(data)
    assert check(path)


@settings(max_examples=150, deadline=2_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 900), length=st.integers(0, 12), fragment=_FRAGMENTS)
def test_any_damage_to_a_sound_blueprint_is_checked_without_a_traceback(
    at: int, length: int, fragment: str, sound: str, tmp_path: Path
) -> None:
    path = tmp_path / "b.toml"
    path.write_text(sound[:at] + fragment + sound[at + length :], encoding="utf-8")
    for problem in check(path):
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message
