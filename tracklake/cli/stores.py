"""Commands about places: copy a lake, upload what waits on this machine."""

from __future__ import annotations

import click

import tracklake as tl
from tracklake.cli.base import echo, main
from tracklake.common.text import number_of
from tracklake.storage import layout, spool
from tracklake.storage.journal import upload as uploads


@main.command(name="copy", short_help="Copy a lake to another place.")
@click.argument("source")
@click.argument("target")
def copy_lake(source: str, target: str) -> None:
    """Copy a lake, from a folder or a URL to another, each file verified; again, it copies what is new.

    What is still in journals is sealed first. A copy that was interrupted goes on where it ended. Places are folders
    or URLs (s3://, gs://, az://), whose credentials come from the environment.

    \b
    Examples:
      tracklake copy lake s3://bucket/lake
      tracklake copy s3://bucket/lake backup
    """
    lake = tl.open(source)
    lake.refresh()
    copied = lake.copy_to(target)
    echo(f"{target}: {number_of(copied.files, 'file')} of {copied.bytes:,} bytes, "
               f"{number_of(copied.commits, 'commit')}")  # fmt: skip


@main.command(short_help="Upload what waits on this machine.")
def upload() -> None:
    """Upload the journals that runs on this machine left behind, to the lakes on object stores where they belong.

    A run uploads while it goes on and when it ends; what a killed one left, or one that ended without a network, lies
    in a spool ($TRACKLAKE_SPOOL, else ~/.local/state/tracklake/spool). The next run on this machine uploads it too.

    \b
    Example:
      tracklake upload
    """
    places = spool.spools()
    for url in places:
        recovered = uploads.recover_spool(layout.connect(url))
        live = f"; {number_of(recovered.live, 'file')} of live runs left to them" if recovered.live else ""
        echo(f"{url}: {number_of(recovered.files, 'file')} of {recovered.bytes:,} bytes uploaded{live}")
    if not places:
        echo(f"nothing waits in {spool.spool_root()}")
