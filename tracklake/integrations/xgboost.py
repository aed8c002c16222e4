"""A callback for XGBoost.

>>> import numpy as np, xgboost
>>> from tracklake.integrations.xgboost import TracklakeCallback
>>> data = xgboost.DMatrix(np.arange(20.0).reshape(10, 2), np.arange(10.0))
>>> params = {"max_depth": 2, "seed": 0}
>>> with tl.init("walk", config=params) as run:
...     _ = xgboost.train(params, data, 3, [(data, "train")], verbose_eval=False, callbacks=[TracklakeCallback()])
>>> tl.open().history("train-rmse")["step"].to_list()
[0, 1, 2]
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xgboost.callback import TrainingCallback

from tracklake.tracking import start
from tracklake.tracking.artifacts.media import charts
from tracklake.tracking.artifacts.media.tables import Table
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.tracking.run import Run


class TracklakeCallback(TrainingCallback):
    """Logs the metrics of each round as `<data>-<metric>`, in `cv` with `<data>-<metric>-std`, and the best round.

    The booster's own settings go into the config, but for `cv`.

    The run is the current one, else it is started with the arguments of `tracklake.init`. `log_model` logs the model
    as an artifact, `log_feature_importance` (by default) its gains as a chart; W&B's other arguments mean nothing.
    """

    def __init__(
        self,
        log_model: bool = False,  # noqa: FBT001, FBT002 - as W&B
        log_feature_importance: bool = True,  # noqa: FBT001, FBT002 - as W&B
        importance_type: str = "gain",
        define_metric: bool = True,  # noqa: ARG002, FBT001, FBT002 - as W&B
        **init: Any,
    ) -> None:
        super().__init__()
        self._log_model = log_model
        self._importance = importance_type if log_feature_importance else None
        self._init = init

    def before_training(self, model: Any) -> Any:
        """Take the current run, or start one, and note the settings."""
        self._run: Run = open_runs.current or start.init(**self._init)
        if hasattr(model, "save_config"):
            self._run.config.update(json.loads(model.save_config()), allow_val_change=True)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Any]]) -> bool:  # noqa: ARG002 - XGBoost's signature
        """Log a round; never stop the training."""
        row: dict[str, Any] = {"epoch": epoch}
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                last = values[-1]
                row[f"{data}-{metric}"] = last[0] if isinstance(last, tuple) else last
                if isinstance(last, tuple):
                    row[f"{data}-{metric}-std"] = last[1]
        self._run.log(row)
        return False

    def after_training(self, model: Any) -> Any:
        """Put the best round into the summary, and log importance and model as wanted."""
        best = {name: model.attr(name) for name in ("best_score", "best_iteration") if hasattr(model, "attr")}
        self._run.summary.update({name: float(value) for name, value in best.items() if value is not None})
        if self._importance and hasattr(model, "get_score"):
            scores = model.get_score(importance_type=self._importance)
            table = Table(columns=["feature", "importance"], data=sorted(scores.items()))
            self._run.log({"feature_importance": charts.bar(table, "feature", "importance")}, commit=False)
        if self._log_model and hasattr(model, "save_model"):
            path = f"{self._run.dir}/{self._run.id}_model.json"
            model.save_model(path)
            self._run.log_model(path, name=f"{self._run.id}_model")
        return model
