"""The tools as the package `mcp` serves them, over standard input and output."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from tracklake._version import VERSION
from tracklake.errors import TracklakeError
from tracklake.ui.mcp_server.answers import Answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.lake.lake import Lake

SECONDS = 60.0
"""How long one tool may take."""
INSTRUCTIONS = """Experiments of machine learning in a lake: runs with config, metrics over steps, summaries.
Begin with describe. Then runs (a table), history (curves as numbers), sql (duckdb over runs, summaries, history,
config, definitions, sessions, points), compare (are groups different, with tests), plot (a picture). All of it reads
only. Column names hold dots and slashes: in SQL they stand in double quotes, as "summary.val/acc.max"."""


def serve(lake: Lake) -> None:
    """Serve the tools over standard input and output until the client goes away; TracklakeError without `mcp`.

    >>> import importlib.util
    >>> if importlib.util.find_spec("mcp") is None:
    ...     serve(example())
    ... else:
    ...     raise TracklakeError("mcp")
    Traceback (most recent call last):
    tracklake.errors.TracklakeError: ...mcp...
    """
    build(lake).run("stdio")


def build(lake: Lake) -> Any:
    """Return the server of the package `mcp` with its tools.

    >>> import importlib.util
    >>> importlib.util.find_spec("mcp") is None or build(example()).name == "tracklake"
    True
    """
    if importlib.util.find_spec("mcp") is None:
        raise TracklakeError("this needs mcp, which is not installed: pip install 'tracklake[mcp]'")
    from mcp.server import MCPServer

    server = MCPServer("tracklake", instructions=INSTRUCTIONS, version=VERSION)
    _add_tables(server, Answers(lake))
    return server


async def _within(answer: Callable[..., Any], *arguments: Any) -> Any:
    """Ask in a thread and wait for a while; what takes longer is left to end by itself. ToolError, with the reason."""
    import anyio
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        with anyio.fail_after(SECONDS):
            return await anyio.to_thread.run_sync(answer, *arguments, abandon_on_cancel=True)
    except TimeoutError:
        message = f"this took longer than {SECONDS:g} s: ask for fewer runs or metrics, or by SQL"
        raise ToolError(message) from None
    except (TracklakeError, TypeError) as error:
        raise ToolError(str(error)) from error


def _add_tables(server: Any, answers: Answers) -> None:
    from mcp.server.mcpserver import Image
    from mcp.types import ToolAnnotations

    def tool(function: Callable[..., Any]) -> None:
        reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
        server.tool(annotations=reads, structured_output=False)(function)

    @tool
    async def describe() -> str:
        """Say what is in the lake: runs by state, projects, metrics, columns."""
        return answers.as_text(await _within(answers.describe))

    @tool
    async def runs(
        where: str | None = None,
        columns: list[str] | None = None,
        order_by: str | None = None,
        limit: int | None = None,
    ) -> str:
        """Return runs as CSV. where: SQL over columns; columns: names and globs; order_by: "-name" descends."""
        return answers.as_text(await _within(answers.runs, where, columns, order_by, limit))

    @tool
    async def history(metrics: list[str], runs: list[str], points: int | None = None) -> str:
        """Return metrics of some runs over steps as CSV, thinned to about so many points, extremes kept."""
        return answers.as_text(await _within(answers.history, metrics, runs, points))

    @tool
    async def sql(text: str, limit: int | None = None) -> str:
        """Ask in SQL (duckdb): runs, summaries(run_id, project, metric, stat, value), history(run_id, metric, step)."""
        return answers.as_text(await _within(answers.sql, text, limit))

    @tool
    async def compare(
        metric: str,
        by: list[str],
        goal: str | None = None,
        where: str | None = None,
        baseline: str | float | None = None,
    ) -> str:
        """Compare groups of runs by a metric with intervals and corrected tests. goal: min or max."""
        return answers.as_text(await _within(answers.compare, metric, by, goal, where, baseline))

    @tool
    async def plot(call: str) -> Any:
        """Draw a PNG: curves("loss", by="lr"), scatter("lr", "acc.max"), leaderboard("acc", by="lr"), ..."""
        return Image(data=await _within(answers.plot, call), format="png")
