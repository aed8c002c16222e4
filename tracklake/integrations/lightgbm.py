"""A callback for LightGBM.

>>> import lightgbm, numpy as np
>>> from tracklake.integrations.lightgbm import TracklakeCallback
>>> data = lightgbm.Dataset(np.arange(80.0).reshape(40, 2), np.arange(40.0))
>>> params = {"num_leaves": 3, "verbose": -1, "min_data_in_leaf": 2, "metric": "l2"}
>>> with tl.init("walk", config=params) as run:
...     _ = lightgbm.train(params, data, 3, [data], ["train"], callbacks=[TracklakeCallback()])
>>> tl.open().history("train_l2")["step"].to_list()
[0, 1, 2]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.tracking import start
from tracklake.tracking.artifacts.media import charts
from tracklake.tracking.artifacts.media.tables import Table
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from tracklake.tracking.run import Run


class TracklakeCallback:
    """Logs the metrics of each round as `<data>_<metric>`, in `cv` with `<data>_<metric>-std`, and the parameters.

    The run is the current one, else it is started with the arguments of `tracklake.init`. `log_params=False` leaves
    the parameters out of the config; `define_metric` is accepted and means nothing.
    """

    order = 30
    before_iteration = False

    def __init__(self, log_params: bool = True, define_metric: bool = True, **init: Any) -> None:  # noqa: FBT001, FBT002, ARG002 - as W&B
        self._log_params = log_params
        self._init = init
        self._run: Run | None = None

    def __call__(self, env: Any) -> None:
        """Log a round."""
        if self._run is None:
            self._run = open_runs.current or start.init(**self._init)
            if self._log_params:
                self._run.config.update(dict(env.params), allow_val_change=True)
        row: dict[str, Any] = {"iteration": env.iteration}
        for data, metric, value, _, *spread in env.evaluation_result_list:
            row[f"{data}_{metric}"] = value
            if spread:
                row[f"{data}_{metric}-std"] = spread[0]
        self._run.log(row)


def log_summary(model: Any, feature_importance: bool = True, save_model_checkpoint: bool = False) -> None:  # noqa: FBT001, FBT002 - as W&B
    """Put the best round of a model into the summary, and log its importance and itself as wanted."""
    run: Run = open_runs.current or start.init()
    run.summary["best_iteration"] = model.best_iteration
    if model.best_score:
        run.summary["best_score"] = {k: dict(v) for k, v in model.best_score.items()}
    if feature_importance:
        rows = list(zip(model.feature_name(), model.feature_importance().tolist(), strict=True))
        table = Table(columns=["feature", "importance"], data=rows)
        run.log({"feature_importance": charts.bar(table, "feature", "importance")}, commit=False)
    if save_model_checkpoint:
        path = f"{run.dir}/model.txt"
        model.save_model(path)
        run.log_model(path, name=f"model-{run.id}")
