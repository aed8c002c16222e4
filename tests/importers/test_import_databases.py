"""MLflow, Optuna and trackio: databases of every schema, file store and journal; beside the owners' own readers."""

from __future__ import annotations

import math
import sqlite3

import pytest
from samples import sample

import tracklake as tl


def test_mlflow_database(lake):
    """Experiments are projects, statuses states, parameters typed config; NaN and infinities come back."""
    report = lake.import_from(sample("mlflow/mlflow-3.17.db"))
    assert (report.runs, report.points, report.projects) == (8, 720, {"ablation / lr": 4, "digits": 4})
    columns = ["name", "state", "config.lr", "config.tags.note a", "summary.weird"]
    rows = lake.runs(project="digits", columns=columns).rows()
    assert [row[2] for row in rows] == ["finished", "failed", "killed", "crashed"]
    assert (rows[0][1], rows[0][4]) == ("run 0", "x'y")
    (run, *_) = lake.runs(project="digits")["run_id"]
    values = lake.history("weird", runs=run)["value"].to_list()
    assert (math.isnan(values[0]), values[1:]) == (True, [math.inf, -math.inf])


def test_mlflow_as_its_own_client_reads_it(lake, tmp_path):
    """A database that the installed mlflow writes gives its client and us the same points, nested runs too."""
    mlflow = pytest.importorskip("mlflow.tracking", reason="the package mlflow is not installed")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("exp", artifact_location=str(tmp_path))
    parent = client.create_run(experiment, run_name="outer")
    child = client.create_run(experiment, run_name="inner", tags={"mlflow.parentRunId": parent.info.run_id})
    for step in range(30):
        client.log_metric(child.info.run_id, "loss", 1 / (step + 1), step=step)
    client.log_metric(child.info.run_id, "loss", math.nan, step=30)
    client.set_terminated(child.info.run_id)
    report = lake.import_from(tmp_path / "mlflow.db")
    theirs = [(m.step, m.value) for m in client.get_metric_history(child.info.run_id, "loss")]
    ours = lake.history("loss").select("step", "value").rows()
    assert str(sorted(theirs)) == str(ours)
    assert (report.runs, lake.run(child.info.run_id).facts["group"]) == (2, "outer")


def test_mlflow_file_store(lake, tmp_path):
    """Lines of two, three and five fields, keys with slashes, parameters and tags of files."""
    run = tmp_path / "mlruns" / "7" / "0a1b"
    for folder in ("metrics/val", "params", "tags"):
        (run / folder).mkdir(parents=True)
    (run.parent / "meta.yaml").write_text("experiment_id: '7'\nname: digits\n")
    (run / "meta.yaml").write_text("run_id: 0a1b\nstatus: 3\nstart_time: 1700000000000\nend_time: 1700000005000\n")
    (run / "metrics" / "val" / "acc").write_text("1700000001000 0.5 1\n1700000002000 0.75 2 data d1\n17000")
    (run / "metrics" / "loss").write_text("1700000001000 nan\n")
    (run / "params" / "lr").write_text("0.1")
    (run / "tags" / "mlflow.runName").write_text("first")
    report = lake.import_from(tmp_path / "mlruns")
    assert (report.runs, report.points, report.left_alone) == (1, 3, [])
    assert [one.reason for one in report.unread] == ["1 lines are no points"]
    assert lake.history("val/acc").select("step", "value").rows() == [(1, 0.5), (2, 0.75)]
    row = lake.runs(columns=["project", "name", "runtime", "config.lr"]).row(0)
    assert row == ("0a1b", "digits", "first", 5.0, 0.1)


@pytest.mark.parametrize(
    ("name", "runs", "points"),
    [
        ("dashboard_sample.sqlite3", 100, 389),
        ("optuna_0.9.0.a.db", 1, 1),
        ("optuna_2.6.0.a.db", 3, 2),
        ("optuna_3.2.0.a.db", 3, 1),
        ("journal_4.0.0.dev.log", 10, 10),
    ],
)
def test_optuna_of_every_schema(lake, name, runs, points):
    """Every schema since 0.9 and the journal come in; the second time nothing is new."""
    report = lake.import_from(sample(f"optuna/{name}"))
    assert (report.runs, report.points, report.unread) == (runs, points, [])
    assert lake.import_from(sample(f"optuna/{name}"), step="").runs == 0


def test_optuna_trials_are_runs(lake):
    """Values, parameters, states and durations are those that the study holds."""
    lake.import_from(sample("optuna/dashboard_sample.sqlite3"))
    assert dict(lake.runs()["state"].value_counts().rows()) == {"finished": 25, "killed": 75}
    row = lake.runs(runs="pytorch_simple-0", columns=["config.n_units_l0", "summary.value", "runtime", "tags"]).row(0)
    assert row[1:] == (67, 0.9328125, 9.943027, None)


@pytest.mark.parametrize("name", ["dashboard_sample.sqlite3", "optuna_3.2.0.a.db", "journal_4.0.0.dev.log"])
def test_optuna_as_its_own_reader_has_it(lake, tmp_path, name):
    """Optuna's own trials and ours have the same parameters, values and intermediate values."""
    optuna = pytest.importorskip("optuna", reason="the package optuna is not installed")
    path = tmp_path / name
    path.write_bytes(sample(f"optuna/{name}").read_bytes())
    storage = _storage(optuna, path)
    lake.import_from(path)
    compared = 0
    for summary in optuna.get_all_study_summaries(storage):
        study = optuna.load_study(study_name=summary.study_name, storage=storage)
        for trial in study.trials:
            run = lake.run(f"{study.study_name}-{trial.number}")
            history = lake.history(runs=run.id)
            assert run.config == trial.params
            assert dict(history.select("step", "value").rows()) == trial.intermediate_values
            values = [v for k, v in run.summary.items() if k == "value" or k.startswith("value_")]
            assert values == (trial.values or values)
            compared += 1
    assert compared == lake.runs().height


def _storage(optuna, path):
    if path.suffix == ".log":
        backend = optuna.storages.journal.JournalFileBackend(str(path))
        return optuna.storages.JournalStorage(backend)
    return optuna.storages.RDBStorage(f"sqlite:///{path}", skip_compatibility_check=True)


def test_trackio(lake):
    """Runs of a project with nested config, and one NaN."""
    report = lake.import_from(sample("trackio/digits-0.43.db"))
    assert (report.runs, report.points) == (3, 240)
    assert lake.runs(columns=["name", "config.lr", "config.nested.depth"]).row(0)[1:] == ("run-0", 0.1, 0)
    assert lake.summaries(["loss.n_nan", "val/acc.n_nan"]).select("loss.n_nan").sum().item() == 1


def test_a_database_that_is_written_is_copied(lake, tmp_path):
    """A database with a write-ahead log is read as its writer sees it, and nothing is written beside it."""
    path = tmp_path / "demo.db"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    columns = "id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT, step INTEGER, metrics TEXT"
    writer.execute(f"CREATE TABLE metrics ({columns})")
    writer.execute("INSERT INTO metrics VALUES (1, '2026-01-01T00:00:00', 'a', 0, '{\"loss\": 0.5}')")
    writer.commit()
    before = sorted(file.name for file in tmp_path.iterdir())
    assert lake.import_from(path).points == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == before
    writer.close()


def test_a_database_that_is_damaged(lake, tmp_path):
    """A damaged database is told as such, and what else lies there comes in."""
    complete = sample("mlflow/mlflow-3.17.db").read_bytes()
    (tmp_path / "mlflow.db").write_bytes(complete[:40_000] + b"\xff" * (len(complete) - 40_000))
    (tmp_path / "x.csv").write_text("step,loss\n1,0.5\n")
    report = lake.import_from(tmp_path)
    assert "mlflow.db" in report.unread[0].path.name
    assert lake.history("loss").height >= 1


def test_views_are_not_computed(tmp_path):
    """A view that never ends is not asked for: only tables are read."""
    path = tmp_path / "mlflow.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (run_uuid TEXT)")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    connection.execute(f"CREATE VIEW metrics AS {endless} SELECT i AS run_uuid, 'a' AS key, 1 AS value FROM n")
    connection.commit()
    report = tl.open(tmp_path / "lake", create=True).import_from(path)
    assert report.runs == 0
