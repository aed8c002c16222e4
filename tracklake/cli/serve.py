"""Commands that serve and show: ui (the page in a browser), mcp (tools for a model), report (one HTML file)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

import tracklake as tl
from tracklake.cli.base import directory_option, echo, main
from tracklake.ui import mcp_server, serve


@main.command(short_help="Look at the runs in a browser.")
@click.option(
    "--dir",
    "directories",
    multiple=True,
    help="A lake; several may be given.  [env var: TRACKLAKE_DIR; default: lake]",
)
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="The port; by default any that is free.")
@click.option("--no-browser", is_flag=True, help="Print the link and open no browser.")
def ui(directories: tuple[str, ...], port: int, *, no_browser: bool) -> None:
    """Serve the page of one lake or several to a browser of this machine, until Ctrl-C.

    The printed link holds a secret: whoever has it, and an account on this machine, can read and edit the lake.
    Nothing is sent to any other machine. From elsewhere: ssh -L PORT:127.0.0.1:PORT with the same port on both sides.

    \b
    Examples:
      tracklake ui
      tracklake ui --dir ./lake --dir /data/other --port 8765 --no-browser
    """
    places = directories or (os.environ.get("TRACKLAKE_DIR", "lake"),)
    with serve(*[tl.open(Path(place)) for place in places], port=port) as server:
        echo(server.url)
        if not no_browser:
            server.open_browser()
        try:
            while True:
                time.sleep(0.5)  # a signal that another thread takes is noticed when this one wakes
        except KeyboardInterrupt:
            return


@main.command(short_help="Resolve a report to one HTML file.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@directory_option
@click.option("--out", type=click.Path(dir_okay=False), help="The file to write: .html or .pdf.")
@click.option("--check", is_flag=True, help="Exit with 1 if anything is unresolved.")
@click.option("--pdf", "as_pdf", is_flag=True, help="Print it as PDF by a browser of this machine.")
def report(file: str, directory: str, out: str | None, *, check: bool, as_pdf: bool) -> None:
    """Resolve FILE, Markdown that quotes the lake, to one file that needs nothing else.

    ${run:summary.val/acc.max|.3f} is a value of the run that the front matter names, ${run:ID:config.lr} one of any
    run; fenced blocks ask: sql, query, plot and compare. What is unresolved is told, and red in the file.

    \b
    Examples:
      tracklake report digits.md --out digits.html
      tracklake report digits.md --check
      tracklake report digits.md --pdf --out digits.pdf
    """
    suffix = ".pdf" if as_pdf else ".html"
    if out and as_pdf and Path(out).suffix.lower() != suffix:
        raise click.UsageError(f"--pdf prints a .pdf; --out {out} is none")
    resolved = tl.open(directory).report(file)
    for problem in resolved.problems:
        echo(problem, err=True)
    target = Path(out) if out else None if check else Path(file).with_suffix(suffix)
    if target is not None:
        echo(str(resolved.save(target)))
    if check and resolved.problems:
        raise SystemExit(1)


@main.command(short_help="Serve the lake to a model as tools.")
@directory_option
def mcp(directory: str) -> None:
    """Serve describe, runs, history, sql, compare and plot as read-only tools over standard input and output (MCP).

    Needs the extra `mcp`. Answers are limited in rows, characters and time.

    \b
    Example, as a client starts it:
      tracklake mcp --dir ./lake
    """
    mcp_server.serve(tl.open(directory))
