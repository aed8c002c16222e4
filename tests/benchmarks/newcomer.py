"""Ten tasks of a newcomer in three pages, by clicks and seconds: `python tests/benchmarks/newcomer.py --peers PYTHON`.

PYTHON is that of an environment of their own with mlflow, tensorboard, tensorboardX and setuptools<81; without it only
tracklake is asked. Each task begins in a fresh context of the browser. Needs playwright (the extra ui-tests) and
chromium on the PATH; the tasks are in newcomer_tasks.py, the runs in newcomer_runs.py.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from newcomer_tasks import MLFLOW, REMARKS, TENSORBOARD, TITLES, TRACKLAKE, Hand, Task
from page import FLAGS

RUNS = Path(__file__).with_name("newcomer_runs.py")
TASKS = {"tracklake": TRACKLAKE, "mlflow": MLFLOW, "tensorboard": TENSORBOARD}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[None]:
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def answers(address: str, *, seconds: float = 600) -> str:
    """Return the address as soon as it is answered."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urlopen(address).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return address


@contextmanager
def tracklake(folder: Path) -> Iterator[str]:
    log = folder / "log"
    command = [sys.executable, "-m", "tracklake.cli", "ui", "--dir", str(folder / "lake"), "--no-browser"]
    with running(command, log):
        deadline = time.monotonic() + 60
        while not (link := re.search(r"http://127\S+token=\S+", log.read_text())):
            if time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.1)
        yield link[0]


@contextmanager
def mlflow(folder: Path, python: str) -> Iterator[str]:
    port = free_port()
    store = f"sqlite:///{folder}/mlflow.db"
    command = [python, "-m", "mlflow", "server", "--backend-store-uri", store, "--port", str(port), "--workers", "1"]
    with running(command, folder / "log"):
        yield answers(f"http://127.0.0.1:{port}/")


@contextmanager
def tensorboard(folder: Path, python: str) -> Iterator[str]:
    port = free_port()
    command = [python, "-m", "tensorboard.main", "--logdir", str(folder / "logs"), "--port", str(port)]
    with running(command, folder / "log"):
        yield answers(f"http://127.0.0.1:{port}/")


def starts(name: str, link: str) -> tuple[str, Task]:
    """Return the address at which a task begins, and how its runs are waited for."""
    if name == "mlflow":
        return f"{link}#/experiments/1/runs", lambda hand: hand.sees("lr0.3-w256-s2")
    return link, TASKS[name][0]  # type: ignore[return-value] # both begin with a task


def timed(browser: Any, name: str, link: str, number: int, *, seconds: float) -> tuple[int, float] | str:
    """Do one task once: actions and seconds, or why there is none."""
    from playwright.sync_api import Error

    task = TASKS[name][number]
    if isinstance(task, str):
        return task
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    context.set_default_timeout(1000 * seconds)
    hand = Hand(context.new_page())
    try:
        if number:
            address, wait = starts(name, link)
            hand.page.goto(address)
            wait(hand)
            hand.page.wait_for_timeout(1000)
            began = time.perf_counter()
        else:
            began = time.perf_counter()
            hand.page.goto(link)
        task(hand)
        return hand.actions, time.perf_counter() - began
    except Error as error:
        print(f"{name}, {TITLES[number]}: after {hand.actions} actions: {str(error)[:400]}", file=sys.stderr)
        return "not reached by the script"
    finally:
        context.close()


def cell(name: str, number: int, tries: list[tuple[int, float] | str]) -> str:
    if isinstance(tries[0], str):
        return tries[0]
    done = [one for one in tries if not isinstance(one, str)]
    took = statistics.median(seconds for _, seconds in done)
    remark = REMARKS.get((name, number))
    return f"{done[0][0]}, {took:.2g} s" + (f" ({remark})" if remark else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="the python that has mlflow and tensorboard")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=30, help="seconds after which a step is given up")
    parser.add_argument("--only", nargs="*", type=int, help="numbers of tasks, from 0")
    parser.add_argument("--page", nargs="*", choices=list(TASKS))
    options = parser.parse_args()
    names = [name for name in options.page or TASKS if name == "tracklake" or options.peers]
    numbers = options.only or range(len(TITLES))
    from playwright.sync_api import sync_playwright

    cells: dict[tuple[str, int], str] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        links = {}
        for name in names:
            place = Path(folder) / name
            place.mkdir()
            python = sys.executable if name == "tracklake" else options.peers
            subprocess.run([python, str(RUNS), name, str(place)], check=True, capture_output=True)
            serve = (
                tracklake(place)
                if name == "tracklake"
                else {"mlflow": mlflow, "tensorboard": tensorboard}[name](place, python)
            )
            links[name] = stack.enter_context(serve)
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS
        )
        for name in names:
            for number in numbers:
                tries = [
                    timed(browser, name, links[name], number, seconds=options.timeout) for _ in range(options.repeat)
                ]
                cells[name, number] = cell(name, number, tries)
                print(f"{name}, {TITLES[number]}: {cells[name, number]}", file=sys.stderr)
        browser.close()
    print(f"| task | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for number in numbers:
        print(f"| {TITLES[number]} | {' | '.join(cells[name, number] for name in names)} |")


if __name__ == "__main__":
    main()
