"""What all commands share: the group, the lake's option, and errors as one line."""

from __future__ import annotations

import contextlib
import json
import warnings
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

import tracklake as tl
from tracklake.cli.wording import shell_words
from tracklake.display.labels import printable_lines
from tracklake.errors import TracklakeError
from tracklake.sql import named_queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    r"""Print lines; the control characters that a name may hold, which can steer a terminal, are shown as signs.

    >>> echo("acc\x1b]0;title\x07")
    acc␛]0;title␇
    """
    click.echo(printable_lines(str(text)), err=err, nl=nl)


class Refusal(click.ClickException):
    """An error that tracklake raised on purpose: no traceback."""

    exit_code = 2

    def format_message(self) -> str:
        r"""Return the message with control characters as signs.

        >>> Refusal("no run 'a\x1b'").format_message()
        "no run 'a␛'"
        """
        return printable_lines(self.message)


class Commands(click.Group):
    """A group whose commands turn TracklakeError, and what the operating system refuses, into a Refusal."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error that was raised on purpose, or by the disk, ends it with exit code 2.

        >>> from tracklake.cli import main
        >>> main(["describe", "--dir", "nowhere"], standalone_mode=False)
        Traceback (most recent call last):
        tracklake.cli.base.Refusal: there is no lake at nowhere: ...
        """
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("always", message="tracklake: ")
                warnings.showwarning = _note  # type: ignore[assignment] # what else a warning has is of no use here
                return super().invoke(ctx)
        except TracklakeError as error:
            raise Refusal(shell_words(str(error))) from error
        except BrokenPipeError:  # who reads has seen enough: click ends quietly
            raise
        except OSError as error:
            raise Refusal(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}") from error


class SweepCommands(Commands):
    """A group in which a word that is no command is the argument of `analyze`: `tracklake sweep val/acc`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words name, with the words that are left.

        >>> from tracklake.cli import main
        >>> main(["sweep", "val/acc", "--dir", "nowhere"], standalone_mode=False)
        Traceback (most recent call last):
        tracklake.cli.base.Refusal: there is no lake at nowhere: ...
        """
        words = args if args and args[0] in self.commands else ["analyze", *args]
        return super().resolve_command(ctx, words)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tracklake")
@click.option("--dir", "directory", envvar="TRACKLAKE_DIR", help="The lake of any command; here or after it.")
def main(directory: str | None) -> None:
    """Compare training runs: everything logged lies as Parquet in one folder, the lake.

    \b
    Start here:
      tracklake demo                     train a real sweep into ./lake and look at it
      tracklake describe                 what is in the lake?
      tracklake runs --limit 5           look at the newest runs
      tracklake query leaderboard metric=val/acc goal=max
      tracklake sql "SELECT project, count(*) FROM runs GROUP BY project"

    The lake is --dir, else $TRACKLAKE_DIR, else ./lake. Exit code 1: check found something wrong; 2: the command
    could not be done. Completion: tracklake completion --help.
    """


@main.group("sweep", cls=SweepCommands, context_settings={"ignore_unknown_options": True})
def sweep_commands() -> None:
    """Launch sweeps, and analyze them: `tracklake sweep METRIC` is short for `tracklake sweep analyze METRIC`.

    \b
    Examples:
      tracklake sweep create sweep.yaml   make a sweep; tracklake agent SWEEP runs it
      tracklake sweep val/acc --goal max  which settings mattered, over all runs?
      tracklake sweep SWEEP               which settings mattered, of a launched sweep?
    """


def _directory(ctx: click.Context, _: click.Parameter, option: str | None) -> str:
    """Return the lake of a command: its own --dir, else that before the command, else $TRACKLAKE_DIR, else lake."""
    return option if option is not None else str(ctx.find_root().params.get("directory") or "lake")


directory_option = click.option(
    "--dir", "directory", callback=_directory, help="The lake. [env var: TRACKLAKE_DIR; default: lake]"
)

project_option = click.option("--project", help="Only this project.")


def choices(of: Callable[[str | None], Iterable[str]]) -> Callable[..., list[CompletionItem]]:
    """Return what completes a word in a shell by names, which `of` finds for a lake; none where that fails.

    >>> complete = choices(lambda directory: ["val/acc", "val/loss"])
    >>> [item.value for item in complete(click.Context(main), None, "val/l")]
    ['val/loss']
    """

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        with contextlib.suppress(TracklakeError):
            names = of(ctx.params.get("directory"))
            return [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return []

    return complete


run_ids = choices(lambda directory: tl.open(directory).runs(columns=["run_id"])["run_id"])
metric_names = choices(lambda directory: tl.open(directory).metrics)
query_names = choices(lambda _: named_queries.find())


def _note(message: Warning | str, *_: Any) -> None:
    """Print a warning of the library as a note, in the words of the shell."""
    click.echo(f"note: {shell_words(str(message).removeprefix('tracklake: '))}", err=True)


def listed(text: str) -> list[str]:
    """Read names with commas between them.

    >>> listed("lr, seed")
    ['lr', 'seed']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def read(text: str) -> Any:
    """Read a value: numbers, true, false, null and JSON as such, anything else as text.

    >>> read("0.1"), read("adam"), read('{"lr": 0.1}')
    (0.1, 'adam', {'lr': 0.1})
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_pair(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; UsageError if it is none.

    >>> read_pair("metric=val/acc")
    ('metric', 'val/acc')
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.UsageError(f"{text!r} is no NAME=VALUE, such as k=5 or metric=val/acc")
    return name, read(value)
