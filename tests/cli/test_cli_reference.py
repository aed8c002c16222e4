"""The reference of the commands, which `python tests/cli/test_cli_reference.py` writes: `--help` as REFERENCE.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from tracklake import cli

REFERENCE = Path(__file__).parents[2] / "tracklake" / "cli" / "REFERENCE.md"
SECTION = re.compile(r"(?<=<!-- cli -->\n).*?(?=<!-- /cli -->)", re.DOTALL)
SHARED = {"directory", "help", "version"}
"""Options of all commands: told once."""


def commands(group: click.Group, above: str = "tracklake") -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{above} {name}")
        else:
            yield f"{above} {name}", command


def usage(name: str, command: click.Command) -> str:
    """Return a command with its arguments and options on one line, broken at 100 characters."""
    ctx = click.Context(command, info_name=name)
    arguments = [p.make_metavar(ctx) for p in command.params if isinstance(p, click.Argument)]
    options = [option(p, ctx) for p in command.params if isinstance(p, click.Option) and p.name not in SHARED]
    lines = [name]
    for word in [*arguments, *options]:
        if len(lines[-1]) + len(word) >= 100:
            lines.append("   ")
        lines[-1] += f" {word}"
    return "\n".join([*lines, f"    {command.short_help}"])


def option(param: click.Option, ctx: click.Context) -> str:
    names = "/".join([param.opts[0], *param.secondary_opts])
    value = "" if param.is_flag or param.count else f" {param.make_metavar(ctx)}"
    text = f"{names}{value}"
    return text if param.required else f"[{text}]"


def reference() -> str:
    told = "\n\n".join(usage(name, command) for name, command in commands(cli.main))
    return f"```text\n{told}\n```\n"


def test_the_reference_has_every_command_and_option():
    """REFERENCE.md has every command with all its options, just as the commands are."""
    found = SECTION.search(REFERENCE.read_text())
    assert found is not None, "REFERENCE.md has no section between <!-- cli --> and <!-- /cli -->"
    assert found[0] == reference(), "the commands have changed: run python tests/cli/test_cli_reference.py"


if __name__ == "__main__":
    REFERENCE.write_text(SECTION.sub(lambda _: reference(), REFERENCE.read_text()))
