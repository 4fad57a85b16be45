"""Read a TOML file into a tree of values with origins. Untrusted bytes enter here alone: size, encoding, syntax."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import tomli

from composer.blueprint.syntax.near_files import meant_for_absent, meant_for_folder
from composer.blueprint.syntax.nodes import Node, annotate, show_path
from composer.blueprint.syntax.positions import MAX_NESTING, Duplicate, Scan, scan
from composer.blueprint.syntax.problems import BlueprintError, Problem, at_file

MAX_BYTES = 64 * 1024
"""Largest file that is read: hundreds of times a usual blueprint."""
MAX_LINE = 2_000
"""Longest line, in characters."""

_BACKSLASH = "; in double quotes a backslash begins an escape: write the text in single quotes"
_MEANT = {
    "illegal character '\\n'": "; is a closing quote missing?",
    "invalid value": "; write text in quotes, begin numbers with a digit, write true and false in lower case",
    "unclosed array": "; is a comma or a closing bracket missing?",
    "unclosed inline table": "; is a comma or a closing brace missing?",
    "invalid initial character for a key part": "; a key has letters, digits, _ and -, or stands in quotes",
    "invalid hex value": _BACKSLASH,
    "unescaped '\\' in a string": _BACKSLASH,
}
"""Hints for errors of syntax, by the message of tomli."""
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_tree(path: Path, file: str) -> Node:
    """The tree of the TOML file at ``path``, called ``file`` in origins and messages; raises BlueprintError."""
    return parse_tree(read_bytes(path, file), file)


@lru_cache(maxsize=16)
def parse_tree(data: bytes, file: str) -> Node:
    """The tree of a TOML text; raises BlueprintError where it is not TOML, too large or nested too deep.

    The last ones are kept: children, variants and edits of one blueprint read the same parents.
    """
    text = _decode(data, file)
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            raise at_file(file, f"line of {len(line):,} characters; limit {MAX_LINE:,}", number, MAX_LINE + 1)
    found = scan(text)
    if found.too_deep:
        raise at_file(file, f"nested deeper than {MAX_NESTING}", *found.too_deep)
    values = _parse(text, found, file)
    if found.broken:
        raise AssertionError(
            f"{file}: the scanner stops at {found.broken}, where tomli reads on; please report this file"
        )
    return annotate(values, found.locations, file)


def read_bytes(path: Path, file: str) -> bytes:
    """The bytes of the regular file at ``path``; raises BlueprintError where it is none, or too large."""
    try:
        # Do not block on a pipe. The descriptor, not the name, is checked: the file may be replaced meanwhile.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise at_file(file, "no such file", hint=meant_for_absent(path)) from None
    except (OSError, ValueError) as error:
        raise at_file(file, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        is_folder = stat.S_ISDIR(status.st_mode)
        if is_folder:
            raise at_file(file, "is a directory; pass its .toml file", hint=meant_for_folder(path))
        raise at_file(file, "not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise at_file(file, f"{status.st_size:,} bytes; limit 64 KiB")
    return data


def read_text(path: Path, file: str) -> str:
    """The text of the regular file at ``path``; raises BlueprintError where it cannot be read, or is not UTF-8."""
    return _decode(read_bytes(path, file), file)


def _decode(data: bytes, file: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:4]:
        raise at_file(file, "looks like UTF-16; save as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise at_file(file, f"not UTF-8 at byte {error.start}", line, column) from None
    text = text.replace("\r\n", "\n")
    if "\r" in text:
        above = text[: text.index("\r")]
        line, column = above.count("\n") + 1, len(above) - above.rfind("\n")
        raise at_file(file, "a carriage return without a line feed; save with line ends of LF or CRLF", line, column)
    return text


def _parse(text: str, found: Scan, file: str) -> Mapping[str, Any]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        if found.duplicates:
            raise BlueprintError(_duplicate(file, duplicate) for duplicate in found.duplicates) from None
        message = str(error)
        match = _AT.search(message)
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
        if match and match.group(1):
            line, column = int(match.group(1)), int(match.group(2))
        what = _AT.sub("", message)
        what = f"{what[:1].lower()}{what[1:]}"
        raise at_file(file, f"not TOML: {what}{_MEANT.get(what, '')}", line, column) from None
    except RecursionError:
        raise at_file(file, f"nested deeper than {MAX_NESTING}") from None
    except ValueError as error:
        # Numbers and dates that Python cannot hold, reported by tomli without a location.
        what = "integer too large" if "integer" in str(error) else f"not TOML: {error}"
        raise at_file(file, what, *(found.broken or (1, 1))) from None


def _duplicate(file: str, found: Duplicate) -> Problem:
    path = show_path(found.path)
    first, (line, column) = found.first[0], found.second
    if found.is_table:
        return Problem(file, line, column, path, f"[{path}] declared twice (lines {first}, {line})")
    return Problem(file, line, column, path, f"{show_path(found.path[-1:])!r} set twice (lines {first}, {line})")
