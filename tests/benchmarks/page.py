"""The budgets of the page, in a real browser beside the floor: `python tests/benchmarks/page.py` prints a table.

Needs the extra ui-tests (playwright) and chromium on the PATH. A figure is the median of the repeats; page and floor
take turns, so that a busy machine is busy for both. `--lake` takes a lake that is there in place of making one.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from page_floor import STATIC, Floor

import tracklake as tl

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--enable-precise-memory-info"]
BUDGETS = {
    "first rows, warm s": 0.5,
    "first rows, cold start s": 2.0,
    "jump to any row s": 0.1,
    "sort s": 0.15,
    "filter s": 0.15,
    "50 curves s": 0.6,
    "zoom ms": 50,
    "finer buckets ms": 50,
    "brush of scatter ms": 16,
    "brush of parallel axes ms": 16,
    "a live run's row, of 50 live runs s": 2.0,
    "a live run's curve, of 50 live runs s": 2.0,
    "JavaScript bytes": 200_000,
    "heap of the table MB": 30,
    "heap of 50 curves MB": 30,
    "heap of scatter MB": 30,
    "heap of parallel axes MB": 30,
    "requests beside polls in an idle minute": 0,
}
WATCH = """(condition) => new Promise((done) => {
  const began = performance.now();
  const holds = new Function("return " + condition);
  const look = () => (holds() ? done(performance.now() - began) : setTimeout(look, 1));
  look();
})"""
"""Waits for a condition of the document, and returns after how many milliseconds it held."""
MOVES = """() => {
  window.moves = [];
  let began = 0;
  addEventListener("pointermove", () => (began = performance.now()), { capture: true });
  addEventListener("pointermove", () => window.moves.push(performance.now() - began));
}"""
"""Keeps how many milliseconds the page takes for each move of the pointer."""
ROW = "document.querySelector('.grid-body .grid-row[id]')"


def make_runs(folder: Path, runs: int) -> tl.Lake:
    """Make a lake of runs with 20 config values and 10 metrics of one step each."""
    source = random.Random(0)
    lake = tl.open(folder, create=True)
    table = pl.DataFrame({"id": [f"run-{i:06d}" for i in range(runs)], "step": [0] * runs})
    config = [pl.Series(f"c{k}", [source.choice([0.1, 0.2, 0.3]) * k for _ in range(runs)]) for k in range(20)]
    metrics = [pl.Series(f"m{k}", [source.random() for _ in range(runs)]) for k in range(10)]
    lake.import_table(
        table.with_columns(config + metrics), run_columns=["id"], step="step",
        config_columns=[s.name for s in config], metrics={s.name: s.name for s in metrics},
    )  # fmt: skip
    return lake


def make_curves(folder: Path, *, runs: int, points: int) -> tl.Lake:
    """Make a lake of some runs with one long curve each."""
    source = random.Random(0)
    lake = tl.open(folder, create=True)
    losses = [2 / (1 + step / 500) + source.gauss(0, 0.05) + run / 50 for run in range(runs) for step in range(points)]
    names = [f"curve-{run:02d}" for run in range(runs) for _ in range(points)]
    table = pl.DataFrame({"id": names, "step": list(range(points)) * runs, "loss": losses})
    lake.import_table(table, run_columns=["id"], step="step", metrics={"loss": "loss"})
    return lake


@contextmanager
def serving(lake: tl.Lake) -> Iterator[tuple[str, float]]:
    """Start `tracklake ui` as a process of its own; gives its link, and the moment at which it was started."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "tracklake.cli", "ui", "--dir", lake.dir, "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in process.stdout or ():
            if link := re.search(r"http://127\S+token=\S+", line):
                yield link[0], began
                return
        raise RuntimeError("tracklake ui printed no link")
    finally:
        process.terminate()
        process.wait(20)


class Visit:
    """A page of the browser, and what is measured in it."""

    def __init__(self, browser: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 800})
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))

    def opened(self, address: str, condition: str) -> float:
        """Seconds from the navigation to the moment at which a condition holds."""
        began = time.perf_counter()
        self.page.goto(address, wait_until="commit")
        self.wait(condition)
        return time.perf_counter() - began

    def wait(self, condition: str) -> float:
        """Seconds until a condition holds, by the clock of the browser."""
        return float(self.page.evaluate(WATCH, condition)) / 1000

    def after(self, act: str, condition: str) -> float:
        """Seconds from an act, in JavaScript, to the moment at which a condition holds."""
        script = f"() => {{ {act}; return ({WATCH})({json.dumps(condition)}); }}"
        return float(self.page.evaluate(script)) / 1000

    def drag(self, selector: str, start: tuple[float, float], end: tuple[float, float], *, steps: int) -> None:
        """Drag from one share of an element's size to another."""
        box = self.page.locator(selector).first.bounding_box()
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        self.page.mouse.move(*at[1], steps=steps)
        self.page.mouse.up()

    def heap(self) -> float:
        """Megabytes of JavaScript objects and of the arrays behind them that are in use."""
        session = self.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        return float(self.page.evaluate("performance.memory.usedJSHeapSize")) / 1e6


def jump(visit: Visit, scroller: str, row: int, *, height: int, drawn: str) -> float:
    act = f"document.querySelector('{scroller}').scrollTop = {row * height}"
    return visit.after(act, f"document.querySelector('{drawn}[data-number=\"{row}\"]')")


def of_table(visit: Visit, root: str, floor: str, total: int, repeat: int) -> Iterator[tuple[str, str, float]]:
    """Measure first rows, jumps, sorting and filtering of the table, and rows and jumps of the floor."""
    source = random.Random(1)
    columns = "".join(f"&col={name}" for name in shown_columns(visit, root))
    for _ in range(repeat):
        yield "floor", "first rows, warm s", visit.opened(f"{floor}/grid", "document.querySelector('#b div')")
        yield "floor", "jump to any row s", jump(visit, "#g", source.randrange(total - 40), height=24, drawn="#b div")
        yield "page", "first rows, warm s", visit.opened(f"{root}/runs?{columns[1:]}", ROW)
        visit.page.wait_for_timeout(500)
        yield (
            "page",
            "jump to any row s",
            jump(visit, ".grid", source.randrange(total - 40), height=26, drawn=".grid-row[id]"),
        )
        name = visit.page.locator(".grid-titles button").nth(source.randrange(3, 8)).get_attribute("data-name")
        state = "document.querySelector('[aria-sort=ascending], [aria-sort=descending]')"
        titles = "[...document.querySelectorAll('.grid-titles button')]"
        press = f"{titles}.find((b) => b.dataset.name === {json.dumps(name)}).click()"
        yield "page", "sort s", visit.after(press, f"{state} && {ROW}")
        condition = f'"{name}" > {value_of(visit, root, str(name), source.randrange(total))}'
        field = f"const field = document.querySelector('input.where'); field.value = {json.dumps(condition)}"
        typed = f"{field}; field.dispatchEvent(new Event('change'))"
        changed = f"!document.querySelector('.message').textContent.trim().startsWith('{total:,} run') && {ROW}"
        yield "page", "filter s", visit.after(typed, changed)


def shown_columns(visit: Visit, root: str) -> list[str]:
    """Return thirty columns of the lake."""
    schema = visit.page.evaluate("(root) => fetch(root + '/api/schema').then((reply) => reply.json())", root)
    config = [name for name in schema["columns"] if name.startswith("config.")]
    summaries = [f"summary.{metric}.{stat}" for metric in schema["metrics"] for stat in ("max", "min")]
    return [*summaries[:10], *config[:20], *summaries[10:]][:30]


def value_of(visit: Visit, root: str, name: str, row: int) -> float:
    """Return what a run has in a column: a filter for more than that leaves out some run of any lake."""
    script = "([root, asked]) => fetch(`${root}/api/runs?${new URLSearchParams(asked)}`).then((reply) => reply.json())"
    answer = visit.page.evaluate(script, [root, {"col": name, "offset": row, "limit": 1}])
    return float(answer["columns"][0]["values"][0])


def of_curves(visit: Visit, root: str, floor: str, repeat: int) -> Iterator[tuple[str, str, float]]:
    """Measure the drawing of all curves, and a zoom: until the axis is stretched, and until finer buckets are drawn."""
    for _ in range(repeat):
        yield "floor", "50 curves s", visit.opened(f"{floor}/chart", "document.querySelector('.u-over')")
        drawn = "document.querySelector('.note')?.textContent.includes('points')"
        yield "page", "50 curves s", visit.opened(f"{root}/charts", f"{drawn} && document.querySelector('.u-over')")
        visit.page.wait_for_timeout(300)
        visit.page.evaluate("""() => {
          // Written after each drawing; what the pointer is over stands beside it.
          const note = document.querySelector('.note span:not(.hover)'), before = note.textContent;
          addEventListener('mouseup', () => {
            const began = performance.now();
            requestAnimationFrame(() => setTimeout(() => (window.stretched = performance.now() - began)));
            new MutationObserver(() => note.textContent !== before && (window.finer ??= performance.now() - began))
              .observe(note, { childList: true, subtree: true, characterData: true });
          }, { capture: true, once: true });
        }""")
        visit.drag(".u-over", (0.3, 0.5), (0.4, 0.5), steps=3)
        visit.wait("window.finer")
        yield "page", "zoom ms", visit.page.evaluate("window.stretched")
        yield "page", "finer buckets ms", visit.page.evaluate("window.finer")
    yield "page", "heap of 50 curves MB", visit.heap()


def of_brushes(visit: Visit, root: str, repeat: int) -> Iterator[tuple[str, str, float]]:
    """Measure what the slowest move of a brush takes, with every run of the lake, and the heap of such a page."""
    config = [name for name in shown_columns(visit, root) if name.startswith("config.")]
    axes = "".join(f"&axis={name}" for name in config[:4])
    for kind, address in (("scatter", "/scatter"), ("parallel axes", f"/parallel?{axes[1:]}")):
        for _ in range(repeat):
            visit.opened(root + address, "document.querySelector('canvas.over')")
            visit.page.wait_for_timeout(1500)
            side = 70 / visit.page.locator("canvas.over").bounding_box()["width"]
            visit.page.evaluate(MOVES)
            x = (0.2, 0.6) if kind == "scatter" else (side, side)
            visit.drag("canvas.over", (x[0], 0.2), (x[1], 0.7), steps=4)
            yield "page", f"brush of {kind} ms", max(visit.page.evaluate("window.moves"))
        yield "page", f"heap of {kind} MB", visit.heap()


def of_idleness(visit: Visit, root: str, seconds: float) -> Iterator[tuple[str, str, float]]:
    """Measure the heap of the table after it was scrolled all through, and what it asks for while nothing happens."""
    visit.opened(f"{root}/runs", ROW)
    for share in range(1, 31):
        visit.page.evaluate(
            "(share) => { const g = document.querySelector('.grid'); g.scrollTop = share * g.scrollHeight; }",
            share / 31,
        )
        visit.wait(ROW)
    visit.page.wait_for_timeout(2000)
    yield "page", "heap of the table MB", visit.heap()
    before = len(visit.requests)
    visit.page.wait_for_timeout(1000 * seconds)
    asked = [url for url in visit.requests[before:] if "/api/changes" not in url]
    yield "page", "requests beside polls in an idle minute", float(len(asked))


def of_live(browser: Any, folder: Path, repeat: int) -> Iterator[tuple[str, str, float]]:
    """Measure how long a value of one of fifty live runs, of which all log, takes to its row and to its curve."""
    quiet = {"settings": {"quiet": True}, "dir": folder, "reinit": "create_new"}
    live = [tl.init("live", id=f"live-{number:02d}", **quiet) for number in range(50)]  # type: ignore[arg-type]
    values = iter(range(1, 10**6))

    def log_all() -> int:
        value = next(values)
        for run in live:
            run.log({"loss": float(value)})
        return value

    log_all()
    with serving(tl.open(folder)) as (link, _):
        root = link.partition("/?")[0]
        table, chart = Visit(browser), Visit(browser)
        table.opened(link, ROW)
        chart.opened(link, ROW)
        for visit, address, place, what in (
            (table, "/runs?col=summary.loss", ".grid-body .grid-cell.number", "row"),
            (chart, "/charts", ".note", "curve"),
        ):
            visit.opened(root + address, f"document.querySelector('{place}')?.textContent")
            visit.page.bring_to_front()
            for _ in range(repeat):
                visit.page.wait_for_timeout(700)
                value = log_all()
                text = f"'{value}'" if what == "row" else f"'every point ({50 * value:,})'"
                began = time.perf_counter()
                visit.wait(f"document.querySelector('{place}').textContent.includes({text})")
                yield "page", f"a live run's {what}, of 50 live runs s", time.perf_counter() - began
        table.context.close()
        chart.context.close()
    for run in live:
        run.finish()


def measured(runs: tl.Lake, curves: tl.Lake, *, live: Path, repeat: int, idle: float) -> list[tuple[str, str, float]]:
    """Return all measurements: of page or floor, what, how much."""
    from playwright.sync_api import sync_playwright

    found: list[tuple[str, str, float]] = []
    size = sum(path.stat().st_size for path in STATIC.rglob("*.js"))
    found.append(("page", "JavaScript bytes", float(size)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for _ in range(repeat):
            with serving(runs) as (link, began):
                visit = Visit(browser)
                visit.page.goto(link, wait_until="commit")
                visit.wait(ROW)
                found.append(("page", "first rows, cold start s", time.perf_counter() - began))
                visit.context.close()
        with serving(runs) as (link, _), serving(curves) as (other, _):
            found += _warm(browser, link, other, repeat=repeat, idle=idle)
        found += list(of_live(browser, live, repeat))
        browser.close()
    return found


def _warm(browser: Any, link: str, other: str, *, repeat: int, idle: float) -> list[tuple[str, str, float]]:
    root, curves_root = (address.partition("/?")[0] for address in (link, other))
    visit, chart = Visit(browser), Visit(browser)
    visit.opened(link, ROW)
    chart.opened(other, ROW)
    rows = visit.page.request.get(f"{root}/api/runs?limit=100").body()
    curves = chart.page.request.get(f"{curves_root}/api/curves?metric=loss&buckets=600").body()
    total = json.loads(rows)["total"]
    with Floor(total=total, rows=rows, curves=curves) as floor:
        parts: list[Callable[[], Iterator[tuple[str, str, float]]]] = [
            lambda: of_table(visit, root, floor.root, total, repeat),
            lambda: of_curves(chart, curves_root, floor.root, repeat),
            lambda: of_brushes(visit, root, repeat),
            lambda: of_idleness(visit, root, idle),
        ]
        return [one for part in parts for one in part()]


def table_of(found: list[tuple[str, str, float]]) -> list[tuple[str, float, float, float | None]]:
    """Return what, the budget, the median of the page and that of the floor, which is None where there is none."""
    rows = []
    for what, budget in BUDGETS.items():
        medians = [[value for of, name, value in found if (of, name) == (whose, what)] for whose in ("page", "floor")]
        page, floor = (statistics.median(values) if values else None for values in medians)
        if page is not None:
            rows.append((what, float(budget), page, floor))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--idle", type=float, default=60, help="seconds of idleness")
    parser.add_argument("--lake", type=Path, help="a lake of many runs that is there")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = tl.open(options.lake) if options.lake else make_runs(Path(folder) / "runs", options.runs)
        curves = make_curves(Path(folder) / "curves", runs=50, points=options.points)
        found = table_of(measured(runs, curves, live=Path(folder) / "live", repeat=options.repeat, idle=options.idle))
    print("| what | budget | page | floor |\n|---|---|---|---|")
    for what, budget, page, floor in found:
        mark = "" if page <= budget else " (missed)"
        shown = [f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" for value in (budget, page)]
        print(f"| {what} | {shown[0]} | {shown[1]}{mark} | {'' if floor is None else f'{floor:.4g}'} |")
    if options.json:
        options.json.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
