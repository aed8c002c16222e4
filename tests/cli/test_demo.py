"""`tracklake demo`: a small one of the same kind, with the real learner, processes and lake."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from processes import output
from rich.console import Console

import tracklake as tl
from tracklake.cli import demo, demo_sweep

SMALL = [demo_sweep.SWEEP[0], demo_sweep.SWEEP[-1], demo_sweep.DIVERGING]


def run_demo(directory: Path, configurations: Sequence[demo_sweep.Configuration], *, seeds: int, epochs: int) -> str:
    console = Console(file=io.StringIO(), width=80)
    demo.demo(str(directory), configurations=configurations, seeds=seeds, epochs=epochs, console=console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a demo's") / "lake"  # a space and a quote: what is printed must still paste


@pytest.fixture(scope="module")
def first(place: Path) -> str:
    return run_demo(place, SMALL, seeds=2, epochs=8)


@pytest.fixture(scope="module")
def lake(first: str, place: Path) -> tl.Lake:
    assert first
    return tl.open(str(place))


def test_the_whole_sweep():
    """The demo trains at least 24 configurations, each under its own name, and one more that diverges."""
    assert len({point.name for point in demo_sweep.SWEEP}) == 24
    assert demo_sweep.DIVERGING not in demo_sweep.SWEEP


def test_logs_every_epoch(lake: tl.Lake):
    """Every epoch of a run that learns is there, with the loss and accuracy of each part."""
    runs = lake.runs(project="digits", where="state = 'finished'")
    history = lake.history(demo_sweep.METRICS, runs=runs)
    assert history.height == 4 * 8 * 6
    assert history["step"].max() == 7


def test_best_configuration_first(lake: tl.Lake):
    """The table ranks configurations by the mean over seeds of each run's own best epoch."""
    runs = lake.runs(columns=["name", "group", "config.seed"])
    leaders = demo.leaderboard(demo.at_best(lake, runs))
    assert leaders["group"].to_list() == ["h64-lr0.3-b512", "h16-lr0.01-b32", "h32-lr100000-b32"]
    assert leaders["n"].to_list() == [2, 2, 2]
    by_hand = [lake.run(i).history()["val/acc"].max() for i in runs.filter(group="h64-lr0.3-b512")["run_id"]]
    assert leaders["val_mean"][0] == pytest.approx(sum(by_hand) / 2)


def test_one_configuration_really_diverges(lake: tl.Lake):
    """With a huge learning rate the loss is inf, then NaN, and the training ends as failed."""
    failed = lake.runs(where="state = 'failed'")
    losses = lake.history(["val/loss"], runs=failed).filter(run_id=failed["run_id"][0])["value"]
    assert failed["group"].to_list() == ["h32-lr100000-b32"] * 2
    assert losses[0] == float("inf")
    assert losses.is_nan().to_list() == [False] * (len(losses) - 1) + [True]


def test_says_what_it_found(first: str, place: Path):
    """The report names the best configuration, what diverged, and where the files lie; nothing is cut off."""
    assert "6 runs in " in first
    assert re.search(r"^h64-lr0\.3-b512 +2 +0\.9\d{3} ± 0\.\d{4} +0\.9\d{3} ± 0\.\d{4} +\d \d *$", first, re.MULTILINE)
    assert "Diverged: 2 of 6 runs, all of them h32-lr100000-b32." in " ".join(first.split())
    assert re.search(r"├── history/ +\d+ files? +[\d.,]+ kB", first)
    assert "…" not in first
    assert max(len(line) for line in first.splitlines() if str(place) not in line) <= 100
    assert "\x1b" not in first  # not a terminal: no colours, no progress bar


def test_next_things_work_when_pasted(lake: tl.Lake, place: Path, first: str):
    """What the demo offers to type next runs in a fresh Python, one after the other, and answers."""
    codes = list(demo.next_things(str(place)).values())
    assert [code for code in codes if code not in first] == []
    pasted = "print('next')\n".join(f"{code}\n" for code in codes)
    done = subprocess.run([sys.executable, "-i", "-q"], input=pasted, capture_output=True, text=True, check=True)
    assert "Error" not in done.stderr
    answers = zip(("verdict", "epochs_above", "test/acc", "value"), done.stdout.split("next\n"), strict=True)
    assert [word for word, answer in answers if word not in answer] == []
    assert lake.check().ok


def test_second_time_adds(first: str, place: Path):
    """Run twice it adds runs, with seeds that were not there, and says so."""
    assert "were there" not in first
    second = run_demo(place, [demo_sweep.SWEEP[0]], seeds=1, epochs=1)
    assert "6 runs were there; 1 added, with seeds from 2." in second
    assert sorted(set(tl.open(str(place)).runs()["config.seed"])) == [0, 1, 2]


def test_without_scikit_learn(tmp_path: Path):
    """Without scikit-learn the demo says what to install and makes no lake."""
    code = "import sys; sys.modules['sklearn'] = None; from tracklake.cli.demo import demo; demo('lake')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "tracklake.errors.TracklakeError: the demo trains with scikit-learn, which is not installed:"
        " pip install 'tracklake[demo]'"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_worker_trains_with_one_thread():
    """The linear algebra of a worker is held to one thread in a process that had loaded none of it before."""
    script = """
    from tracklake.cli import demo, demo_sweep
    demo_sweep._one_thread()
    demo_sweep.digits()
    from threadpoolctl import threadpool_info
    print({library["num_threads"] for library in threadpool_info()})
    """
    assert output(script) == "{1}"


def test_readme_shows_the_table_that_the_demo_prints(first: str):
    """README's excerpt has the demo's header and configurations; its numbers are those of one version of sklearn."""
    readme = (Path(tl.__file__).parents[1] / "README.md").read_text()
    title, header, *rows = readme.split("The demo prints")[1].split("```text\n")[1].split("```")[0].splitlines()
    assert title.replace("8 of 25", "3 of 3") in first
    assert header.split() in [line.split() for line in first.splitlines()]
    assert {row.split()[0] for row in rows} <= {point.name for point in demo_sweep.SWEEP}
    assert all(re.fullmatch(r"\S+ +3( +0\.\d{4} ± 0\.\d{4}){2}( +\d+){3}", row) for row in rows)
