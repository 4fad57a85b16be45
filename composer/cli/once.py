"""A command that refuses an option given twice, of which the parser would drop the first without a word."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand
from typing_extensions import override

from composer.cli.answers import fail


class Once(TyperCommand):
    """Options that take one value may be given once; flags, and options that collect values, as often as wanted."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # A word is completed: nothing is refused.
            return super().parse_args(ctx, args)
        _, _, order = self.make_parser(ctx).parse_args(args=[*args])
        for option in dict.fromkeys(order):
            collects = getattr(option, "multiple", True) or getattr(option, "is_flag", False)
            if not collects and order.count(option) > 1:
                name = max(option.opts, key=len)
                fail(f"{name} is given {order.count(option)} times; it takes one value", 2, "--json" in args)
        found: list[str] = super().parse_args(ctx, args)
        return found
