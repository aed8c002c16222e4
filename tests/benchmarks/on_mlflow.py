"""The workloads on MLflow with its SQLite store."""

from __future__ import annotations

import os

os.environ |= {"GIT_PYTHON_REFRESH": "quiet", "MLFLOW_DISABLE_TELEMETRY": "true"}


def start(folder, *, number, config):
    import mlflow

    folder.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment("bench")
    mlflow.start_run(run_name=f"run-{number:04d}")
    mlflow.log_params(config)
    return {"mlflow": mlflow, "step": 0}


def log(run, row):
    run["mlflow"].log_metrics(row, step=run["step"])
    run["step"] += 1


def finish(run):
    run["mlflow"].end_run()


def settle(folder):
    return (folder / "mlflow.db").stat().st_size


def opened(folder):
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    return mlflow


def table(lake):
    """W3: it knows the last value only."""
    return lake.search_runs(experiment_names=["bench"], max_results=50_000)


def one_metric(lake):
    """W4."""
    client = lake.MlflowClient()
    return [client.get_metric_history(run_id, "metric/007") for run_id in table(lake)["run_id"]]


def best(lake):
    """W5: its own order knows the last value only, so the histories are read."""
    return sorted((max((p.value, -p.step) for p in points) for points in one_metric(lake)), reverse=True)[:10]


def one_run(lake):
    """W6."""
    found = lake.search_runs(experiment_names=["bench"], filter_string="run_name = 'run-0001'").iloc[0]
    metrics = [c.removeprefix("metrics.") for c in found.index if c.startswith("metrics.")]
    client = lake.MlflowClient()
    return {metric: client.get_metric_history(found.run_id, metric) for metric in metrics}
