"""Files of curves as tools write them: each format recognised, with its config, names, steps and time."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest
from samples import sample

import tracklake as tl
from tracklake.errors import SourceError, UnknownNameError
from tracklake.importers import publish, run_import, source_reading
from tracklake.importers.readers import bytestream

YOLO = """                  epoch,         train/box_loss,   metrics/mAP50(B)
                      1,                 1.5,               0.25
                      2,                 1.25,              0.5
"""


def points(lake, metric):
    """Return step and value of a metric, in order of runs."""
    return lake.history(metric).select("step", "value").rows()


def write(path, text):
    """Write a file with its folder, as of a fixed time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def test_lightning(lake, tmp_path):
    """Sparse rows of one step are one row; hparams.yaml is config, the id the version, the project the folder."""
    folder = tmp_path / "work" / "lightning_logs" / "version_0"
    write(folder / "metrics.csv", "epoch,step,train_loss,val_loss\n0,49,0.5,\n0,49,,0.75\n1,99,0.25,\n1,99,,0.5\n")
    write(folder / "hparams.yaml", "lr: 0.1\nbetas: !!python/tuple\n- 0.9\n- 0.99\n")
    report = lake.import_from(tmp_path / "work")
    assert [(one.format, one.runs, one.points) for one in report.sources] == [("lightning", 1, 8)]
    assert points(lake, "val_loss") == [(49, 0.75), (99, 0.5)]
    assert lake.run("lightning_logs-version_0").config == {"lr": 0.1, "betas": [0.9, 0.99]}
    assert report.projects == {"work": 1}


def test_keras(lake, tmp_path):
    """Keras' CSVLogger counts epochs from 0; without time there is no runtime."""
    write(tmp_path / "mlp" / "training.log", "epoch,accuracy,loss\n0,0.5,NAN\n1,0.75,inf\n")
    assert lake.import_from(tmp_path / "mlp").runs == 1
    assert points(lake, "accuracy") == [(0, 0.5), (1, 0.75)]
    assert lake.summaries(["loss.n_nan", "loss.n_inf"], runs="mlp").row(0)[1:] == (1, 1)
    assert lake.runs(columns=["runtime", "created_at"]).row(0)[1] is None


def test_yolo(lake, tmp_path):
    """Blanks around names and numbers are no part of them; args.yaml beside is config."""
    write(tmp_path / "runs" / "detect" / "train" / "results.csv", YOLO)
    write(tmp_path / "runs" / "detect" / "train" / "args.yaml", "model: yolo11n.pt\nimgsz: 640\n")
    report = lake.import_from(tmp_path / "runs")
    assert [one.format for one in report.sources] == ["yolo"]
    assert points(lake, "metrics/mAP50(B)") == [(1, 0.25), (2, 0.5)]
    assert lake.runs(columns=["config.imgsz"]).rows() == [("detect-train", 640)]


def test_catboost(lake, tmp_path):
    """The files of CatBoost are one run, whose time is that of time_left."""
    folder = tmp_path / "catboost_info"
    write(folder / "learn_error.tsv", "iter\tLogloss\n0\t0.5\n1\t0.25\n")
    write(folder / "test_error.tsv", "iter\tLogloss\n0\t0.75\n1\t0.5\n")
    write(folder / "time_left.tsv", "iter\tPassed\tRemaining\n0\t100\t100\n1\t2000\t0\n")
    for part in ("learn", "test"):
        write(folder / part / "events.out.tfevents", "the same again")
    report = lake.import_from(folder)
    assert (report.runs, report.points, report.left_alone) == (1, 4, [])
    assert points(lake, "learn/Logloss") == [(0, 0.5), (1, 0.25)]
    assert lake.runs(columns=["runtime"])["runtime"].to_list() == [2.0]


def test_detectron2(lake, tmp_path):
    """metrics.json is JSON Lines by iteration, in which keys come and go."""
    lines = '{"iteration": 19, "loss": 1.5}\n{"iteration": 39, "ap": NaN, "loss": 1}\n'
    write(tmp_path / "output" / "metrics.json", lines)
    lake.import_from(tmp_path / "output")
    assert points(lake, "loss") == [(19, 1.5), (39, 1.0)]


def test_hugging_face(lake, tmp_path):
    """The Trainer's log history has its own names of W&B; what it logs once is summary; checkpoints repeat nothing."""
    log = [{"step": 10, "epoch": 0.5, "loss": 2.0}, {"step": 20, "epoch": 1.0, "loss": 1.0}]
    state = {"max_steps": 20, "best_metric": 0.5, "log_history": log}
    write(tmp_path / "out" / "checkpoint-20" / "trainer_state.json", json.dumps(state))
    log += [{"step": 20, "eval_loss": 1.5}, {"step": 20, "train_runtime": 7.5, "train_loss": 1.5}]
    write(tmp_path / "out" / "trainer_state.json", json.dumps(state))
    report = lake.import_from(tmp_path / "out")
    assert (report.runs, report.points) == (1, 5)
    assert points(lake, "train/loss") == [(10, 2.0), (20, 1.0)]
    assert points(lake, "eval/loss") == [(20, 1.5)]
    assert lake.run("out").summary["train/train_runtime"] == 7.5
    assert lake.run("out").config == {"max_steps": 20}


def test_ray(lake, tmp_path):
    """A trial's result.json, nested with slashes; params.json is config; progress.csv and events are the same again."""
    trial = tmp_path / "exp" / "train_00000"
    row = {"training_iteration": 1, "env": {"reward": 0.5}, "timestamp": 1_700_000_000, "config": {"lr": 0.1}}
    later = row | {"training_iteration": 2, "timestamp": 1_700_000_060}
    write(trial / "result.json", f"{json.dumps(row)}\n{json.dumps(later)}\n")
    write(trial / "params.json", '{"lr": 0.1}')
    write(trial / "progress.csv", "training_iteration,env/reward\n1,0.5\n2,0.5\n")
    write(trial / "events.out.tfevents.1.host", "the same again")
    report = lake.import_from(tmp_path / "exp")
    assert [(one.format, one.runs) for one in report.sources] == [("ray_tune", 1)]
    assert points(lake, "env/reward") == [(1, 0.5), (2, 0.5)]
    assert lake.runs(columns=["runtime", "config.lr"]).rows() == [("train_00000", 60.0, 0.1)]


def test_stable_baselines(lake):
    """A monitor is a row an episode; its first line says the environment and the start."""
    report = lake.import_from(sample("monitor/ppo_CartPole-v1_1_0.monitor.csv"))
    assert [(one.format, one.runs, one.points) for one in report.sources] == [("stable_baselines", 1, 114)]
    (row,) = lake.runs(columns=["created_at", "config.env_id", "summary.r.count"]).rows()
    assert row[2:] == ("CartPole-v1", 38)
    assert row[1].timestamp() == pytest.approx(1614619328.3192222 + 0.84343, abs=1)


def test_progress_of_stable_baselines(lake, tmp_path):
    """progress.csv counts timesteps, and knows the seconds since the start."""
    rows = "time/total_timesteps,time/time_elapsed,rollout/ep_rew_mean\n500,2,10\n1000,5,20\n"
    write(tmp_path / "a2c" / "progress.csv", rows)
    lake.import_from(tmp_path / "a2c")
    assert points(lake, "rollout/ep_rew_mean") == [(500, 10.0), (1000, 20.0)]
    assert lake.runs(columns=["runtime"])["runtime"].to_list() == [5.0]


def test_sweep_table_is_one_row_a_run(lake):
    """A table with one row a run has its results in the summaries, its choices in the config, and no history."""
    report = lake.import_from(sample("tables/hiplot-ml1.csv"))
    assert report.points == 0
    row = lake.runs(runs="19751736_1", columns=["config.lr", "config.embedding_size", "summary.valid ppl"]).row(0)
    assert row == ("19751736_1", 1.1623044608837685e-05, 512, 1.45)
    assert report.runs == lake.runs().height


def test_long_table(lake, tmp_path):
    """A table of (run, step, metric, value) is recognised; it may be ragged."""
    rows = "run,step,metric,value\na,1,loss,0.5\na,2,loss,0.25\na,2,acc,0.75\nb,1,loss,1.5\n"
    report = lake.import_from(write(tmp_path / "long.csv", rows))
    assert (report.runs, report.points) == (2, 4)
    assert points(lake, "loss") == [(1, 0.5), (2, 0.25), (1, 1.5)]


def test_text_log_by_a_pattern(lake, tmp_path):
    """Lines that a pattern fits are rows of its named groups."""
    lines = "hello\nstep 0: train loss 4.25, val loss 4.5\nstep 250: train loss 2.5, val loss nan\n"
    log = write(tmp_path / "gpt" / "out.log", lines)
    pattern = r"step (?P<step>\d+): train loss (?P<train>\S+), val loss (?P<val>\S+)"
    assert lake.import_from(log, "text_log", pattern=pattern).points == 4
    assert points(lake, "train") == [(0, 4.25), (250, 2.5)]


@pytest.mark.parametrize(
    ("cells", "value"),
    [
        (["1", "2"], 2),
        (["0.5", " N/A "], None),
        (["0.5", '""'], None),
        (["0.5", "--"], None),
        (["50%", "75 %"], 0.75),
        (["1", "-Infinity"], float("-inf")),
        (["true", "False"], False),
        (["1", "2.5e-3"], 0.0025),
    ],
)
def test_cells(lake, tmp_path, cells, value):
    """The type of a column is that of all its cells, in whatever way they are spelled."""
    rows = "".join(f"{step},{cell}\n" for step, cell in enumerate(cells))
    lake.import_from(write(tmp_path / "x.csv", f"# written by hand\n step , x \n{rows}"))
    history = lake.history("x", shape="wide")
    assert history.filter(step=1)["x"].to_list() == ([] if value is None else [value])


def test_semicolons_and_decimal_commas(lake, tmp_path):
    """A table with semicolons has decimal commas."""
    lake.import_from(write(tmp_path / "x.csv", "step;loss\n1;0,5\n2;1,25\n"))
    assert points(lake, "loss") == [(1, 0.5), (2, 1.25)]


def test_compressed_files(lake, tmp_path, monkeypatch):
    """A table may be compressed; one that only seems small is not read on."""
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"step,loss\n1,0.5\n"))
    monkeypatch.setattr(bytestream, "_FREE", 1 << 16)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"step,loss\n" + b"1,0.5\n" * 300_000))
    report = lake.import_from([tmp_path / "x.csv.gz", tmp_path / "bomb.csv.gz"])
    assert report.points == 1
    assert "times larger when decompressed" in report.unread[0].reason


def test_torn_last_lines(lake, tmp_path):
    """A last line that was torn is left out, and that is said."""
    write(tmp_path / "a.jsonl", '{"step": 1, "x": Infinity}\n{"step": 2, "x": 3}\n{"step": 3, "x"')
    write(tmp_path / "b.csv", "step,x,y\n1,0.5,0.5\n2,0.")
    report = lake.import_from([tmp_path / "a.jsonl", tmp_path / "b.csv"])
    assert points(lake, "x") == [(1, float("inf")), (2, 3.0), (1, 0.5)]
    assert [one.reason for one in report.unread] == [
        "line 3 is torn; the table was read up to it",
        "the last line is torn; it was left out",
    ]


def test_a_falling_step_is_an_error(lake, tmp_path):
    """A step that falls stops the import of its file, with the row and the choices."""
    path = write(tmp_path / "x.csv", "step,loss\n0,1\n1,0.5\n2,0.25\n1,0.75\n2,0.125\n")
    report = lake.import_from(path)
    assert report.runs == 0
    assert "row 4 has step 1 after step 2" in report.unread[0].reason
    assert "restart='new-run'" in report.unread[0].reason


@pytest.mark.parametrize(
    ("restart", "runs"),
    [
        ("new-run", {"x": [(0, 1.0), (1, 0.5), (2, 0.25)], "x-restart1": [(1, 0.75), (2, 0.125)]}),
        ("continue", {"x": [(0, 1.0), (1, 0.5), (2, 0.25), (3, 0.75), (4, 0.125)]}),
        ("last-wins", {"x": [(0, 1.0), (1, 0.75), (2, 0.125)]}),
    ],
)
def test_restarts(lake, tmp_path, restart, runs):
    """A restart is a run of its own, goes on, or replaces what came before; nothing vanishes."""
    path = write(tmp_path / "x.csv", "step,loss\n0,1\n1,0.5\n2,0.25\n1,0.75\n2,0.125\n")
    report = lake.import_from(path, restart=restart)
    assert {r: lake.history("loss", runs=r).select("step", "value").rows() for r in lake.runs()["run_id"]} == runs
    assert report.overwritten == (2 if restart == "last-wins" else 0)
    assert lake.history(raw=True).height == 5


def test_a_metric_that_stays_text_is_told(lake, tmp_path):
    """A metric asked for that is no number is refused with row and cell; else it is imported as text."""
    path = write(tmp_path / "x.csv", "step,loss\n1,0.5\n2,oops\n")
    reason = lake.import_from(path, metrics=["loss"]).unread[0].reason
    assert "the metric 'loss' is no number in row 2: 'oops'" in reason
    lake.import_from(path)
    assert lake.history("loss")["text"].to_list() == ["0.5", "oops"]


def test_parts_of_paths_are_config(lake, tmp_path):
    """Named parts of paths are config and id; a second file of a run adds metrics to it."""
    for seed in (0, 1):
        write(tmp_path / "out" / "svc" / f"seed{seed}" / "train.csv", "step,loss\n1,0.5\n")
        write(tmp_path / "out" / "svc" / f"seed{seed}" / "val.csv", "step,acc\n1,0.75\n")
    lake.import_from(tmp_path / "out", paths="{model}/seed{seed}/*.csv")
    columns = ["config.model", "config.seed", "summary.loss", "summary.acc"]
    assert lake.runs(columns=columns).rows() == [
        ("model=svc,seed=0", "svc", 0, 0.5, 0.75),
        ("model=svc,seed=1", "svc", 1, 0.5, 0.75),
    ]


def test_again_and_growing(lake, tmp_path):
    """The same folder again adds nothing; a file that grew adds its new rows, also under another step column."""
    path = write(tmp_path / "out" / "x.csv", "step,loss\n1,0.5\n")
    assert lake.import_from(tmp_path / "out").points == 1
    assert lake.import_from(tmp_path / "out").points == 0
    path.write_text("step,loss\n1,0.5\n2,0.25\n")
    assert lake.import_from(tmp_path / "out").points == 1
    assert points(lake, "loss") == [(1, 0.5), (2, 0.25)]
    assert lake.import_from(path).points == 0


def test_dry_run_writes_nothing(lake, tmp_path):
    """A dry run tells what would come in."""
    write(tmp_path / "x.csv", "step,loss\n1,0.5\n")
    report = lake.import_from(tmp_path / "x.csv", dry_run=True)
    assert str(report).splitlines()[-1] == "1 run with 1 point would come in; projects: 'uncategorized' (1)"
    assert lake.runs().height == 0


def test_what_is_not_there_is_refused(lake, tmp_path):
    """A path that is not there and a format that there is not are refused."""
    with pytest.raises(SourceError, match=r"there is no .*nowhere"):
        lake.import_from(tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="did you mean 'keras'"):
        lake.import_from(tmp_path, "kears")


def test_replace_says_what_it_replaces(lake, tmp_path):
    """With replace, what was imported before counts no longer, is kept, and is named; again it adds nothing."""
    path = write(tmp_path / "x.csv", "step,loss\n1,0.5\n2,0.25\n3,0.125\n")
    lake.import_from(path)
    path.write_text("step,loss\n1,0.75\n2,0.625\n")
    report = lake.import_from(path, replace=True)
    assert (report.replaced, report.points) == (["x"], 2)
    assert points(lake, "loss") == [(1, 0.75), (2, 0.625)]
    assert lake.history(raw=True).height == 5
    assert lake.summaries("loss.count")["loss.count"].to_list() == [2]
    path.write_text("step,loss\n1,0.75\n")
    lake.import_from(path, replace=True)
    assert points(lake, "loss") == [(1, 0.75)]


def test_watch_follows_a_growing_file(tmp_path):
    """`--watch` brings in what a file has gained, until it is stopped."""
    path = write(tmp_path / "x.csv", "step,loss\n1,0.5\n")
    command = [sys.executable, "-m", "tracklake.cli", "import", "x.csv", "--watch", "0.1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)][1].startswith("1 run with 1 point came in")
        with path.open("a") as file:  # at once: what is written anew is empty for a moment
            file.write("2,0.25\n3,0.125\n")
        assert "2 new points" in process.stdout.readline()
        process.terminate()
    assert points(tl.open(tmp_path / "lake"), "loss") == [(1, 0.5), (2, 0.25), (3, 0.125)]


def test_a_folder_in_which_everything_lies_together(lake, tmp_path):
    """Curves, a W&B run, databases and event files of one folder come in by one call; the rest is left alone."""
    write(tmp_path / "all" / "keras" / "training.log", "epoch,loss\n0,1.5\n1,0.5\n")
    write(tmp_path / "all" / "README.md", "hello")
    names = ["wandb/rich.wandb", "mlflow/mlflow-3.17.db", "optuna/dashboard_sample.sqlite3", "trackio/digits-0.43.db"]
    for name in (*names, "tensorboard/strict/run_1/events.out.tfevents.1622543341.host.86862.0"):
        target = tmp_path / "all" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample(name), target)
    report = lake.import_from(tmp_path / "all")
    assert sorted(one.format for one in report.sources) == [
        "keras",
        "mlflow",
        "optuna",
        "tensorboard",
        "trackio",
        "wandb",
    ]
    assert (report.runs, report.points, report.unread) == (114, 1899, [])
    assert [path.name for path in report.left_alone] == ["README.md"]
    assert lake.check(full=True).ok
    assert lake.import_from(tmp_path / "all").runs == 0


@pytest.mark.parametrize("size", [7, 40, 1000])
def test_types_are_decided_over_all_of_a_file(lake, tmp_path, monkeypatch, size):
    """A file that is read in pieces has one type a column, and restarts between pieces are seen."""
    monkeypatch.setattr(bytestream.chunks, "__defaults__", (size,))
    rows = [f"{step},{step},{'' if step < 20 else 0.5},{'x' if step == 29 else step}" for step in range(30)]
    path = write(tmp_path / "x.csv", "step,a,b,c\n" + "\n".join([*rows, "7,0.5,0.5,7"]) + "\n")
    assert "row 31 has step 7 after step 29" in lake.import_from(path).unread[0].reason
    assert lake.import_from(path, restart="continue").points == 31 + 11 + 31
    summary = lake.run("x").summary
    assert (summary["a"], summary["b"], summary["c"]) == (0.5, 0.5, "7")
    assert lake.history("a").filter(step=3)["value"].to_list() == [3.0]
    assert lake.history("c").filter(step=3)["text"].to_list() == ["3"]


@pytest.mark.parametrize("size", [30, 1000])
def test_json_lines_in_pieces(lake, tmp_path, monkeypatch, size):
    """JSON Lines that are read in pieces give the same points."""
    monkeypatch.setattr(bytestream.chunks, "__defaults__", (size,))
    rows = [{"step": step, "loss": 1 / (step + 1)} | ({"acc": step} if step % 3 else {}) for step in range(9)]
    lake.import_from(write(tmp_path / "x.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    assert points(lake, "loss") == [(step, 1 / (step + 1)) for step in range(9)]
    assert points(lake, "acc") == [(step, float(step)) for step in range(9) if step % 3]


def test_later_values_win_across_partitions(lake, tmp_path, monkeypatch):
    """Values that replace earlier ones do so where both lie in different partitions, and after another import."""
    monkeypatch.setattr(publish, "MAX_POINTS", 4)
    monkeypatch.setattr(bytestream.chunks, "__defaults__", (16,))
    path = tmp_path / "x.csv"
    first = "step,loss\n" + "".join(f"{step % 6},{step}\n" for step in range(12))
    path.write_text(first)
    assert lake.import_from(path, restart="last-wins").points == 12
    assert lake.history("loss")["value"].to_list() == [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    path.write_text(first + "0,20\n1,21\n")
    assert lake.import_from(path, restart="last-wins").points == 2
    lake.compact()
    assert lake.history("loss")["value"].to_list() == [20.0, 21.0, 8.0, 9.0, 10.0, 11.0]


def test_a_dry_run_counts_what_comes(lake, tmp_path):
    """A dry run of two copies of one run tells just what the import then brings, and leaves nothing."""
    for name in ("one", "two"):
        shutil.copytree(sample("wandb"), tmp_path / "all" / name)
    dry = lake.import_from(tmp_path / "all", dry_run=True)
    assert lake.runs().height == 0
    real = lake.import_from(tmp_path / "all")
    assert (dry.runs, dry.points, dry.overwritten) == (real.runs, real.points, real.overwritten)


def test_the_report_names_each_file_once(lake, tmp_path):
    """What could not be read is told with its file once; configs that runs take are not left alone."""
    write(tmp_path / "out" / "lightning_logs" / "version_0" / "metrics.csv", "step,epoch,loss\n0,0,1.0\n")
    write(tmp_path / "out" / "lightning_logs" / "version_0" / "hparams.yaml", "lr: 0.1\n")
    falling = write(tmp_path / "out" / "falls.csv", "step,loss\n1,1.0\n0,2.0\n")
    (tmp_path / "out" / "x.csv.gz").write_bytes(b"\x1f\x8b no gzip")
    report = lake.import_from(tmp_path / "out")
    assert report.left_alone == []
    lines = str(report).splitlines()
    assert "could not be read: " + str(tmp_path / "out" / "x.csv.gz") + ": it cannot be decompressed as gzip" in lines
    assert [line.count(str(falling)) for line in lines if "falls.csv" in line] == [1]
    assert not any(line.startswith("nothing new in") for line in lines)


def test_the_bar_moves_within_a_large_file(lake, tmp_path, monkeypatch):
    """Of a file that is read as it is taken in, the bar shows the bytes that were read, once each."""
    moves = []

    @contextmanager
    def progress(_what, *, total):
        yield lambda amount, **_: moves.append((amount, total))

    monkeypatch.setattr(run_import, "progress", progress)
    monkeypatch.setattr(source_reading, "SMALL", 0)
    monkeypatch.setattr(bytestream.chunks, "__defaults__", (1 << 20,))
    rows = "".join(f"{step},{step / 7}\n" for step in range(200_000))
    path = write(tmp_path / "x.csv", f"step,loss\n{rows}")
    lake.import_from(path)
    amounts = [amount for amount, _ in moves if amount]
    assert (sum(amounts), moves[0][1]) == (path.stat().st_size, path.stat().st_size)
    assert len(amounts) > 3


FALLING = [(0, 1.0), (1, 0.5), (0, 0.9), (1, 0.8)]
LAST_WINS = [("r", 0, 0.9), ("r", 1, 0.8)]
CONTINUED = [("r", 0, 1.0), ("r", 1, 0.5), ("r", 2, 0.9), ("r", 3, 0.8)]
NEW_RUNS = [("r", 0, 1.0), ("r", 1, 0.5), ("r-restart1", 0, 0.9), ("r-restart1", 1, 0.8)]


def falling(folder, kind):
    """Write two metrics whose steps fall, in files of their own or one below the other; return their names."""
    if kind == "long":
        rows = "".join(f"r,{step},{name},{value}\n" for name in "ab" for step, value in FALLING)
        write(folder / "r.csv", f"run,step,metric,value\n{rows}")
        return "a", "b"
    rows = "".join(f"{step}\t{value}\n" for step, value in FALLING)
    if kind == "dvclive":
        write(folder / "r" / "dvclive" / "metrics.json", '{"step": 1}')
        for name in "ab":
            write(folder / "r" / "dvclive" / "plots" / "metrics" / f"{name}.tsv", f"step\t{name}\n{rows}")
        return "a", "b"
    for name in ("learn", "test"):
        write(folder / "r" / "catboost_info" / f"{name}_error.tsv", f"iter\tloss\n{rows}")
    return "learn/loss", "test/loss"


@pytest.mark.parametrize("kind", ["long", "dvclive", "catboost"])
@pytest.mark.parametrize(
    ("restart", "rows"), [("new-run", NEW_RUNS), ("continue", CONTINUED), ("last-wins", LAST_WINS), (None, [])]
)
def test_several_metrics_of_a_run_begin_anew_together(lake, tmp_path, kind, restart, rows):
    """Where each metric has rows of its own, a restart is the same run for all; without an option nothing comes."""
    names = falling(tmp_path / "in", kind)
    report = lake.import_from(tmp_path / "in", restart=restart)
    assert report.runs == len({run for run, _, _ in rows})
    assert ["If the training was started anew there" in one.reason for one in report.unread] == [True] * (not rows)
    for name in names if rows else ():
        assert lake.history(name).select("run_id", "step", "value").rows() == rows
    assert lake.import_from(tmp_path / "in", restart=restart).points == 0
    assert lake.check(full=True).ok


def test_files_with_names_that_many_share(lake, tmp_path):
    """Of several runs for which their folder would be the name, the others are called by all of their path."""
    for name in ("metrics.csv", "logs/monitor.csv", "logs/train/results.csv", "run.csv"):
        write(tmp_path / "mine" / name, "step,x\n1,0.5\n")
    write(tmp_path / "mine" / "sweep.csv", "run,lr,acc\na,0.1,0.5\n")
    write(tmp_path / "mine" / "people.csv", "name,age\na,7\n")
    report = lake.import_from(tmp_path / "mine")
    assert sorted(lake.runs()["run_id"]) == ["a", "mine", "mine-logs-monitor", "run", "train"]
    assert [path.name for path in report.left_alone] == ["people.csv"]


@pytest.mark.parametrize("way", ["in/../in", "link", "in"])
def test_the_same_folder_by_another_path(lake, tmp_path, monkeypatch, way):
    """A source that was imported adds nothing when its path is written otherwise, or leads through a link."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in" / "a.csv", "step,x\n1,0.5\n")
    write(tmp_path / "in" / "many.csv", "run,step,x\nr1,1,0.5\nr2,1,0.5\n")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert lake.import_from(tmp_path / "in").runs == 3
    assert lake.import_from(way).runs == 0


def test_an_export_of_a_lake(lake, tmp_path):
    """Of a folder that `Lake.export` wrote the history comes in; its runs and summaries say the same again."""
    with tl.init(id="r", dir=tmp_path / "one", config={"lr": 0.1}) as run:
        run.log({"loss": 0.5})
    tl.open(tmp_path / "one").export(tmp_path / "out")
    report = lake.import_from(tmp_path / "out")
    assert (report.runs, report.points) == (1, 1)
    assert [path.name for path in report.left_alone] == ["runs.parquet", "summaries.parquet"]


def test_a_log_that_needs_a_pattern_is_told(lake, tmp_path):
    """A text with steps and losses is left alone, with the option that reads it; another text says nothing."""
    write(tmp_path / "train.txt", "loading\niter 0: loss 4.2, time 30ms\niter 250: loss 2.1, time 30ms\n")
    write(tmp_path / "notes.txt", "the loss of step 3 was high\nstep 4 was better\n")
    report = lake.import_from(tmp_path)
    assert [(remark.path.name, "looks like a log of losses" in remark.text) for remark in report.remarks] == [
        ("train.txt", True)
    ]
    assert lake.import_from(tmp_path, pattern=r"iter (?P<step>\d+): loss (?P<loss>[\d.]+)").points == 2


def test_many_sources_of_one_format_are_one_line(lake, tmp_path):
    """A report of more sources than fit tells them by format."""
    for number in range(30):
        write(tmp_path / f"r{number:02}.csv", "step,x\n1,0.5\n")
    write(tmp_path / "k" / "training.log", "epoch,loss\n0,1.5\n")
    lines = str(lake.import_from(tmp_path)).splitlines()
    assert f"table            {tmp_path}/r00.csv ... {tmp_path}/r29.csv, 30 sources: 30 runs, 30 new points" in lines
    assert f"keras            {tmp_path}/k/training.log: 1 run, 1 new point" in lines
