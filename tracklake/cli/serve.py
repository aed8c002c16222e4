"""Commands that serve: ui, the page of a lake in a browser."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import click

import tracklake as tl
from tracklake.cli.base import main
from tracklake.ui import serve


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
        click.echo(server.url)
        if not no_browser:
            server.open_browser()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return
