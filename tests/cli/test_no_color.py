"""Help and errors on a terminal: with colours, and without them where NO_COLOR is set.

tests/cli/test_coloured.py and tests/tracking/test_console.py have the other lines with colours.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys

from tiny_runs import ALONE

COMMANDS = ["--help", "trian", "--version"]
PLAIN = "--version"
RUN = """
import os, pty, sys
from composer.cli import main
for line in sys.argv[1].split("\\n"):
    for without in ("", "1"):
        child, terminal = pty.fork()
        if child == 0:
            os.environ.update(NO_COLOR=without, TERM="xterm-256color")
            sys.argv = ["composer", *line.split()]
            main()
        shown = b""
        try:
            while piece := os.read(terminal, 65536):
                shown += piece
        except OSError:  # The other end of a terminal is closed.
            pass
        os.close(terminal)
        os.waitpid(child, 0)
        print(repr((line, bool(without), shown.decode())), flush=True)
"""
COLOUR = re.compile(r"\x1b\[(\d+;)*(3[0-8]|4[0-8]|9[0-7]|10[0-7])(;\d+)*m")


def test_commands_have_colours_on_a_terminal_and_none_with_no_color() -> None:
    environment = {name: value for name, value in ALONE.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    words = [sys.executable, "-c", RUN, "\n".join(COMMANDS)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    answers = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    assert len(answers) == 2 * len(COMMANDS), done.stderr
    for line, without, shown in answers:
        assert shown.strip(), line
        assert bool(COLOUR.search(shown)) == (line != PLAIN and not without), (line, without, shown)
