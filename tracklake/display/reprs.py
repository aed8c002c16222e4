"""Display: what a lake and a run look like in a notebook (small HTML, no network), and as text in 80 columns."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.text import number_of
from tracklake.compute.points import PSEUDO
from tracklake.display.labels import clipped, duration, in_html, middle_out
from tracklake.display.tables import card
from tracklake.schema import values
from tracklake.schema.values import STORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.query.history import SeriesTable

WIDTH = 80
RUNS = 8
"""Runs of a lake that are shown, the newest ones."""
METRICS = 12
"""Metrics of a run that are shown."""
KEYS = 16
"""Config values of a run that are shown."""
READ = 200_000
"""Points that are read for sparklines; series beyond go without."""
_PLACES = 60
"""Points of a sparkline."""
_COLOURS = {"running": "#0072B2", "finished": "#009E73", "failed": "#D55E00", "killed": "#E69F00", "crashed": "#D55E00"}
_COLUMNS = ["n_points", "min", "min_step", "max", "max_step", "last_value"]
_COUNTING = ("epoch", "step", "iteration", "iter", "batch")
"""How metrics end that say where a run is, not how it does; they are shown last."""


class Metric(NamedTuple):
    """What is shown of one metric of one run."""

    run_id: str
    name: str
    n_points: int
    low: tuple[float, int]
    """The least value and its step."""
    high: tuple[float, int]
    last: float | None
    goal: str | None
    curve: str = ""
    """A sparkline, or nothing where the series is too long to be read for it."""

    @property
    def best(self) -> str:
        """The best value and its step where a goal is known, else the range.

        >>> Metric("slow", "loss", 3, (0.25, 1), (1.0, 0), 0.75, "min").best
        'min 0.25 @ 1'
        """
        if self.goal is None and self.low[0] == self.high[0]:
            return f"{self.low[0]:.5g}"
        if self.goal is None:
            return f"{self.low[0]:.4g} … {self.high[0]:.4g}"
        value, step = self.low if self.goal == "min" else self.high
        return f"{self.goal} {value:.5g} @ {step:,}"

    @property
    def ended(self) -> str:
        """The last value, as text; empty for none.

        >>> Metric("slow", "loss", 3, (0.25, 1), (1.0, 0), 0.75, "min").ended
        '0.75'
        """
        return "" if self.last is None else f"{self.last:.5g}"


def lake_text(series: SeriesTable, root: Path | str) -> str:
    """Return what a lake holds, in three lines of at most 80 columns.

    >>> print(lake_text(example()._view.series, Path("lake")))
    Lake lake
      2 runs of example: 2 finished
      2 metrics, 12 points
    """
    states = series.table.select(wanted=["state"])["state"]
    lines = [clipped(line, width=WIDTH - 2) for line in _counts(series, states)]
    return "\n  ".join([f"Lake {middle_out(_place(root), width=WIDTH - 5)}", *lines])


def lake_html(series: SeriesTable, root: Path | str) -> str:
    """Return what a lake holds, and its newest runs with the curves of two metrics, those with a goal first.

    >>> "<b>Lake</b> <code>lake</code>" in lake_html(example()._view.series, Path("lake"))
    True
    """
    runs = series.table.summaries.runs
    table = series.table.select(wanted=["name", "project", "state", "created_at", "runtime"])
    rows = table.tail(RUNS).reverse()
    newest = rows["run_id"].to_list()
    metrics = _metrics(series, _states(series, newest), limit=2)
    names = list(dict.fromkeys(metric.name for metric in metrics))
    by_name = {(metric.run_id, metric.name): metric for metric in metrics}
    head = ["run", "project", "state", "started (UTC)", "runtime"]
    goals = {metric.name: "range" if metric.goal is None else "best" for metric in metrics}
    head += [heading for name in names for heading in (in_html(middle_out(name, width=30)), goals[name])]
    body = [
        [*_about(row), *(cell for name in names for cell in _curve(by_name.get((run_id, name))))]
        for run_id, row in zip(newest, rows.iter_rows(named=True), strict=True)
    ]
    more = runs.height - len(newest)
    counts = "<br>".join(in_html(line) for line in _counts(series, table["state"]))
    older = _quiet(f"{number_of(more, 'older run')}: <code>lake.runs()</code>") if more else ""
    return card(f"<b>Lake</b> <code>{in_html(_place(root))}</code>{_quiet(counts)}{_table(head, body)}{older}")


def run_text(series: SeriesTable, run_id: str) -> str:
    """Return a run in at most 80 columns: its state, its config, and a line a metric.

    >>> print(run_text(example()._view.series, "fast"))
    Run fast of example, finished, ...
      config  lr=0.1
      acc   last 0.8          0.7 … 0.9
      loss  last 0.75         0.25 … 1
    """
    row = _run(series, run_id)
    about = f" of {row['project']}, {row['state']}, {_ran(row)}"
    lines = [f"Run {middle_out(row['name'], width=max(12, WIDTH - 4 - len(about)))}{about}"]
    config = ", ".join(f"{key}={value}" for key, value in _config(series, run_id))
    lines += [f"config  {config}"] if config else []
    states = _states(series, [run_id])
    metrics = _metrics(series, states, limit=METRICS, drawn=False)
    wide = max((len(middle_out(metric.name, width=28)) for metric in metrics), default=0)
    lines += [f"{middle_out(m.name, width=28):<{wide}}  last {m.ended:<11}  {m.best}" for m in metrics]
    lines += _more(states, listed=len(metrics))
    return "\n  ".join(clipped(line, width=WIDTH - 2) for line in lines)


def run_html(series: SeriesTable, run_id: str) -> str:
    """Return a run: its state, its config, and of each metric a curve, the last value and the best.

    >>> "<b>fast</b>" in run_html(example()._view.series, "fast")
    True
    """
    row = _run(series, run_id)
    states = _states(series, [run_id])
    metrics = _metrics(series, states, limit=METRICS)
    cells = [[in_html(middle_out(m.name)), m.curve, m.ended, in_html(m.best), f"{m.n_points:,}"] for m in metrics]
    table = _table(["metric", "", "last", "best, or range", "points"], cells)
    hidden = "".join(_quiet(in_html(line)) for line in _more(states, listed=len(metrics)))
    return card(f"{_heading(row, run_id)}{_config_html(_config(series, run_id))}{table}{hidden}")


def _heading(row: dict[str, Any], run_id: str) -> str:
    """Return the state, name, id and tags of a run, and below when it started and how long it ran."""
    own_id = "" if row["name"] == run_id else f" <code>{in_html(run_id)}</code>"
    tags = "".join(f" <code>{in_html(tag)}</code>" for tag in row["tags"] or [])
    about = f"{row['project']}, started {row['created_at']:%Y-%m-%d %H:%M} UTC, {_ran(row)}"
    return f"{_state(row['state'])} <b>{in_html(row['name'])}</b>{own_id}{tags}{_quiet(in_html(about))}"


def _config_html(config: list[tuple[str, str]]) -> str:
    cells = [[_quiet(in_html(middle_out(k)), "span"), in_html(clipped(v, width=70))] for k, v in config[:KEYS]]
    hidden = f"{number_of(len(config) - KEYS, 'more value')}: .config"
    return _table([], cells) + (_quiet(hidden) if len(config) > KEYS else "")


def sparkline(steps: Sequence[int], numbers: Sequence[float], *, mark: int | None = None) -> str:
    """Return a curve as inline SVG of 120 x 22 points, in the colour of the text around it; a dot marks a step.

    NaN and infinite values interrupt it; without a finite value it is empty.

    >>> sparkline([0, 1], [1.0, 0.0])[:32]
    '<svg width="120" height="22" vie'
    """
    finite = [number for number in numbers if math.isfinite(number)]
    if not finite:
        return ""
    largest = max(map(abs, finite)) or 1.0  # a span of doubles may be no double: scaled first, it is at most 2
    low, high = min(finite) / largest, max(finite) / largest
    wide, tall = steps[-1] - steps[0] or 1, high - low or 1
    at = [
        (3 + 114 * (x - steps[0]) / wide, 19 - 16 * (y / largest - low) / tall)
        for x, y in zip(steps, numbers, strict=True)
    ]
    pieces = groupby(range(len(at)), key=lambda i: math.isfinite(numbers[i]))
    lines = [_line([at[i] for i in piece]) for is_sound, piece in pieces if is_sound]
    marked = [_dot(at[i], 2.5, "#D55E00") for i, x in enumerate(steps) if x == mark and math.isfinite(numbers[i])]
    inner = "".join([*lines, *marked])
    return f'<svg width="120" height="22" viewBox="0 0 120 22" style="vertical-align:middle">{inner}</svg>'


def _line(at: list[tuple[float, float]]) -> str:
    if len(at) == 1:
        return _dot(at[0], 1.5, "currentColor")
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    return f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.2"/>'


def _dot(at: tuple[float, float], radius: float, colour: str) -> str:
    return f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius}" fill="{colour}"/>'


def _states(series: SeriesTable, run_ids: list[str]) -> pl.DataFrame:
    """Return what is known of the metrics that these runs logged."""
    return series.snapshot.states(runs=run_ids, columns=_COLUMNS).filter(~pl.col("metric").is_in(list(PSEUDO)))


def _metrics(series: SeriesTable, states: pl.DataFrame, *, limit: int, drawn: bool = True) -> list[Metric]:
    """Return the metrics that have numbers: those with a goal first, then those of most runs.

    Those that stand still or count steps come last: they do not tell how a run does.
    """
    states = states.drop_nulls("min")
    goals = {name: series.table.summaries.goal(name) for name in states["metric"].unique()}
    still = (pl.col("min") == pl.col("max")).all()
    counts = states.group_by("metric").agg(still.alias("still"), pl.len())
    ranked = sorted((goals[m] is None, _counts_up(m), still, -n, m) for m, still, n in counts.iter_rows())
    names = [name for *_, name in ranked[:limit]]
    chosen = states.filter(pl.col("metric").is_in(names))
    metrics = [
        Metric(run_id, name, n, (low, low_at), (high, high_at), last, goals[name])
        for run_id, name, n, low, low_at, high, high_at, last in chosen.select("run_id", "metric", *_COLUMNS).rows()
    ]
    metrics.sort(key=lambda metric: names.index(metric.name))
    return _drawn(series, metrics) if drawn else metrics


def _counts_up(metric: str) -> bool:
    return metric.rpartition("/")[2].lower().endswith(_COUNTING)


def _drawn(series: SeriesTable, metrics: list[Metric]) -> list[Metric]:
    """Give the metrics their curves, the shortest first, as long as few enough points have to be read."""
    sizes = sorted(metric.n_points for metric in metrics)
    longest = max((n for n, total in zip(sizes, accumulate(sizes), strict=True) if total <= READ), default=-1)
    read = [metric for metric in metrics if metric.n_points <= longest]
    if not read:
        return metrics
    history = series.scan([m.name for m in read], runs=list({m.run_id for m in read})).drop_nulls("value")
    points = history.select("run_id", "metric", "step", "value").collect().sort("step")
    parts = points.partition_by("run_id", "metric", as_dict=True)
    return [m._replace(curve=_sketch(parts[m.run_id, m.name], m)) if m in read else m for m in metrics]


def _sketch(points: pl.DataFrame, metric: Metric) -> str:
    """Return the sparkline of a series in order of steps, of which some points and the best are kept."""
    best = None if metric.goal is None else (metric.low if metric.goal == "min" else metric.high)[1]
    steps = points["step"].to_list()
    last_of_each = (max(i * len(steps) // _PLACES - 1, 0) for i in range(1, _PLACES + 1))
    marked = [] if best is None else [min(bisect_left(steps, best), len(steps) - 1)]
    keep = points[sorted({0, *last_of_each, *marked})]
    return sparkline(keep["step"].to_list(), keep["value"].to_list(), mark=best)


def _counts(series: SeriesTable, states: pl.Series) -> list[str]:
    """Return two lines: how many runs there are and in which states, and what they hold."""
    runs = series.table.summaries.runs
    if runs.is_empty():
        return ["no runs yet: log one with tracklake.init(dir=...)"]
    counted = states.value_counts(name="n").sort("n", "state", descending=True)
    ended = ", ".join(f"{n:,} {state}" for state, n in counted.iter_rows())
    projects = runs["project"].n_unique()
    within = f" in {number_of(projects, 'project')}" if projects > 1 else f" of {runs['project'][0]}"
    metrics, virtual = {*series.snapshot.metrics} - {*PSEUDO}, series.snapshot.derived.metrics
    contents = [number_of(len(metrics - virtual), "metric"), *([f"{len(virtual)} derived"] if virtual else [])]
    contents.append(number_of(series.snapshot.n_stored, "point"))
    return [f"{number_of(runs.height, 'run')}{within}: {ended}", ", ".join(contents)]


def _run(series: SeriesTable, run_id: str) -> dict[str, Any]:
    wanted = ["name", "project", "state", "created_at", "runtime", "tags"]
    return series.table.select(runs=[run_id], wanted=wanted).row(0, named=True)


def _config(series: SeriesTable, run_id: str) -> list[tuple[str, str]]:
    """Return the config values of a run as text, in the order of their names."""
    config = series.table.config.of_runs([run_id]).sort("key")
    return [(str(key), str(values.restore(*stored))) for key, *stored in config.select("key", *STORED).iter_rows()]


def _more(states: pl.DataFrame, *, listed: int) -> list[str]:
    """Say how many metrics of a run are not shown."""
    return [f"{number_of(states.height - listed, 'more metric')}: .metrics"] if states.height > listed else []


def _about(row: dict[str, Any]) -> list[str]:
    started = f"{row['created_at']:%Y-%m-%d %H:%M}"
    return [in_html(middle_out(row["name"], width=36)), in_html(middle_out(row["project"], width=24)),
            f"{_state(row['state'])} {row['state']}", started, _ran(row)]  # fmt: skip


def _curve(metric: Metric | None) -> list[str]:
    return ["", ""] if metric is None else [metric.curve, in_html(metric.best)]


def _ran(row: dict[str, Any]) -> str:
    return duration(row["runtime"] or 0.0)


def _state(state: str) -> str:
    return f'<span style="color:{_COLOURS[state]}" title="{state}">●</span>'


def _place(root: Path | str) -> str:
    """Return the folder as one would type it from here, or the URL."""
    if isinstance(root, str):
        return root
    here, folder = Path.cwd(), root.absolute()
    return folder.relative_to(here).as_posix() if folder.is_relative_to(here) else str(root)


def _quiet(inner: str, tag: str = "div") -> str:
    return f'<{tag} class="quiet">{inner}</{tag}>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    top = f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{top}{body}</table>"
