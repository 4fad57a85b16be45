"""How a function becomes a command: its name, its help in words that no markup swallows, and its examples.

The docstring of a function is the help of its command. Lines below ``Examples:`` at its end can be copied into a
terminal. Tests: tests/cli/test_help.py.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typing_extensions import override

from composer.cli.answers import ended_by_itself, fail

_EXAMPLES = "Examples:\n"
_MARKUP = re.compile(r"\[(?=[a-z#/@])")
"""What Rich takes for the beginning of a tag."""


def add(app: typer.Typer, command: Callable[..., None], panel: str | None = None) -> None:
    """Make ``command`` a command of ``app``, called like the function without underscores at its end."""
    text, examples = parted(command)
    register = app.command(name(command), cls=Command, help=text, epilog=examples_text(examples), rich_help_panel=panel)
    register(ended_by_itself(command))


def name(command: Callable[..., None]) -> str:
    """The name of a command: ``list`` of ``list_``."""
    return command.__name__.rstrip("_")


def examples_text(lines: Sequence[str]) -> str:
    """Examples as they stand at the end of a help."""
    return _EXAMPLES + "\n".join(lines)


def parted(command: Callable[..., None]) -> tuple[str, list[str]]:
    """The help of a command, and its examples."""
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition(f"\n\n{_EXAMPLES}")
    return text, [line.strip() for line in examples.split("\n")]


def _escaped(text: str | None) -> str | None:
    return text and _MARKUP.sub(r"\\[", text)


class Command(TyperCommand):
    """A command whose help is shown as written, and that refuses an option given twice.

    Options that take one value may be given once, since the parser would drop the first without a word; flags, and
    options that collect values, as often as wanted.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """As of the parent."""
        super().__init__(*args, **options)
        self.help, self.epilog = _escaped(self.help), _escaped(self.epilog)
        for param in self.params:
            if isinstance(param, TyperArgument | TyperOption):
                param.help = _escaped(param.help)

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # Otherwise a shell asks for words: nothing is refused.
            _refuse_repeated(self, ctx, args)
        found: list[str] = super().parse_args(ctx, args)
        return found


def _refuse_repeated(command: Command, ctx: Any, args: list[str]) -> None:
    _, _, order = command.make_parser(ctx).parse_args(args=[*args])
    for option in dict.fromkeys(order):
        collects = getattr(option, "multiple", True) or getattr(option, "is_flag", False)
        if not collects and order.count(option) > 1:
            called = max(option.opts, key=len)
            fail(f"{called} is given {order.count(option)} times; it takes one value", 2, "--json" in args)


class Group(TyperGroup):
    """Commands and groups of commands in the order of ``ORDER``; others after them."""

    ORDER: ClassVar[Sequence[str]] = ()

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        found = super().list_commands(ctx)
        return sorted(found, key=lambda name: self.ORDER.index(name) if name in self.ORDER else len(self.ORDER))
