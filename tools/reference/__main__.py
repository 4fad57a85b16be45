"""``python -m tools.reference --out DIR``: write the pages, remove obsolete ones.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from composer.spec.plugins import PluginError
from tools.reference.pages import pages


def main(arguments: list[str]) -> int:
    """Write the pages; returns 2 where a plug-in cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference", description="Write the reference pages.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the pages")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="NAME", help="a plug-in to include; repeatable"
    )
    given = parser.parse_args(arguments)
    try:
        written = pages(given.plugin)
    except PluginError as error:
        print(error, file=sys.stderr)
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    for stale in {path.name for path in given.out.glob("*.md")} - set(written):
        (given.out / stale).unlink()
    for name, text in written.items():
        (given.out / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
