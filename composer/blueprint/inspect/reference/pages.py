"""All pages of the reference, by file name. Tests: tests/docs/test_reference.py."""

from __future__ import annotations

from collections.abc import Sequence

from composer.blueprint.inspect.reference.blueprint import blueprint_page
from composer.blueprint.inspect.reference.fields import family_page
from composer.blueprint.inspect.reference.kinds import family_page_text
from composer.blueprint.inspect.reference.markdown import anchor, page, prose
from composer.blueprint.inspect.reference.parts import parts_page
from composer.blueprint.syntax.parts import parts
from composer.spec import builtin_kinds as kinds
from composer.spec import plugins
from composer.spec.family import FAMILIES, Family

_ABOUT = """\
Written by `make docs` from the kinds themselves: every sentence, default, bound and number here is the code's. In a
blueprint, `kind = "..."` names a kind, `use = "..."` a part. Shapes are those of one sample: `[n]` a vector, `[t, d]`
tokens, `[c, h, w]` an image. A multiply-add counts as two operations."""


def pages(plugin_names: Sequence[str] = ()) -> dict[str, str]:
    """Text by file name, of what ships with composer and of the plug-ins named; raises PluginError for a bad one."""
    kinds.register()
    loaded = [plugins.load(name) for name in plugin_names]
    brought = {member for plugin in loaded for member in plugins.brought(plugin).values()}
    families = {name: family for name, family in sorted(FAMILIES.items()) if _is_ours(family, brought)}
    members = {name: _members(family, brought) for name, family in families.items()}
    distributions = {plugin.distribution for plugin in loaded}
    named = [part for part in parts().values() if part.plugin is None or part.plugin in distributions]
    written = {family_page(name): family_page_text(FAMILIES[name], found) for name, found in members.items()}
    listed = [
        f"* [{families[name].noun()}]({family_page(name)}): {prose(families[name].summary())} {_listed(name, found)}"
        for name, found in members.items()
    ]
    index = page(
        "# Reference",
        _ABOUT,
        "* [Blueprint](blueprint.md): the keys of a file\n"
        f"* [Parts](parts.md): {len(named)} named compositions of these kinds",
        "## Families",
        "\n".join(listed),
        "Guides: [compose your own block](../guide/compose-your-own-block.md), "
        "[reading a blueprint](../guide/reading-a-blueprint.md).",
    )
    return {"README.md": index, "blueprint.md": blueprint_page(), "parts.md": parts_page(named), **written}


def _is_ours(member: type[Family], brought: set[type[Family]]) -> bool:
    """Whether a class is composer's or of a plug-in that was asked for, and not of a program that runs here."""
    return member.__module__.partition(".")[0] == "composer" or member in brought


def _members(family: type[Family], brought: set[type[Family]]) -> list[type[Family]]:
    return [member for member in family.kinds().values() if _is_ours(member, brought)]


def _listed(name: str, members: Sequence[type[Family]]) -> str:
    return ", ".join(f"[`{member.kind}`]({family_page(name)}#{anchor(member.kind)})" for member in members)
