"""The page: the runs of a lake in a browser of this machine, while they log; no server of others, no account.

- `analysis_pages`: comparisons and sweeps as tables and pictures.
- `application`: which address is answered by which function.
- `code_pages`: what a page shows as Python, SQL and a shell command.
- `conditions`: what the page filters by, as the text of `where=`.
- `curves`: curves as points or extremes of buckets, bands of groups, columns as numbers.
- `custom_charts`: charts that runs logged, as pictures.
- `deadlines`: a request that trickles in cannot hold a thread for ever.
- `edits`: what the page changes, by the same statements as Python writes.
- `first_rows`: the first rows of a table of many runs, read before the columns of all runs are.
- `group_labels`: what groups are called, and the colour that each has in every page and picture.
- `guard`: who may ask: Host, cookie, Origin, limits, and the headers of every reply.
- `http_handler`: one connection: requests read within limits, answered, written.
- `markdown_tree`: Markdown as a tree of tags and texts, never as HTML.
- `media_pages`: pictures, sound, tables and charts that a run logged.
- `parameters`: what an address asks for, read with its type.
- `query_pages`: named queries and SQL as tables and as files.
- `replies`: what a route gives back: JSON, blocks of numbers, pictures, files.
- `report_pages`: reports shown, edited with a preview, and saved.
- `run_details`: one run, and where each entry of its summary comes from.
- `run_rows`: the runs table: windows, groups with their spread, the usual columns.
- `server`: HTTP on the loopback address, with no more threads than a page needs.
- `sources`: the lakes that are shown, each read by one thread at a time, and a counter of their changes.
- `static_files`: the modules, styles and the document in static/.
- `view_code`: the runs table as Python, SQL and a shell command.
- `views`: addresses under a name, kept in the lake.
- `vocabulary`: what can be asked for: columns, metrics, goals, statistics, projects.
"""

from __future__ import annotations

from tracklake.ui.application import Application
from tracklake.ui.server import Server

__all__ = ["serve"]


def serve(*lakes: object, port: int = 0) -> Server:
    """Serve the page over these lakes; the server stops with the process, or by `.close()`.

    >>> server = serve(example())
    >>> server.url.startswith("http://127.0.0.1:")
    True
    >>> server.close()
    """
    return Server(Application(lakes), port=port)  # type: ignore[arg-type] # lakes, as `Lake.ui` gives them
