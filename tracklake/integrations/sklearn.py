"""Estimators, searches and charts of scikit-learn, without callbacks.

>>> from sklearn.datasets import load_iris
>>> from sklearn.linear_model import LogisticRegression
>>> from sklearn.model_selection import GridSearchCV
>>> from tracklake.integrations.sklearn import log_cv_results, log_estimator
>>> X, y = load_iris(return_X_y=True)
>>> with tl.init("iris") as run:
...     log_estimator(LogisticRegression(C=0.1, max_iter=500).fit(X, y), X, y)
>>> run.summary["score"] > 0.9, run.config["estimator"]["C"]
(True, 0.1)
>>> search = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.01, 1.0]}, cv=3).fit(X, y)
>>> log_cv_results(search, "iris-search")  # a run a candidate, a step a fold
2
>>> tl.open().sweep(metric="summary.mean_test_score", goal="max").best(1)["config.C"].to_list()
[1.0]
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from tracklake.tracking import start
from tracklake.tracking.artifacts.media import charts
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from tracklake.tracking.run import Run


def log_estimator(estimator: Any, X: Any = None, y: Any = None, *, name: str = "estimator") -> None:  # noqa: N803 - as scikit-learn
    """Put the parameters of an estimator into the config of the current run, and its score on X, y into the summary."""
    run: Run = open_runs.current or start.init()
    params = {key: value for key, value in estimator.get_params(deep=True).items() if _is_plain(value)}
    run.config.update({name: {"class": type(estimator).__name__, **params}}, allow_val_change=True)
    if X is not None and y is not None:
        run.summary["score"] = float(estimator.score(X, y))


def log_cv_results(search: Any, project: str | None = None, **init: Any) -> int:
    """Log each candidate of a fitted search as a run, and return how many: parameters, scores of folds, their mean.

    The scores of a fold are a row, the fold its step; mean_, std_ and rank_ are entries of the summary.
    """
    results = search.cv_results_
    prefix = f"cv-{secrets.token_hex(3)}"
    for i, params in enumerate(results["params"]):
        run = start.init(project, id=f"{prefix}-{i}", config=params, reinit="create_new", **{"group": prefix, **init})
        splits = sorted({key.split("_")[0] for key in results if key.startswith("split")}, key=lambda s: int(s[5:]))
        for fold, split in enumerate(splits):
            row = {key.removeprefix(f"{split}_"): results[key][i] for key in results if key.startswith(f"{split}_")}
            run.log(row, step=fold, commit=True)
        run.summary.update({k: results[k][i].item() for k in results if k.startswith(("mean_", "std_", "rank_"))})
        run.finish()
    return len(results["params"])


def plot_confusion_matrix(y_true: Any = None, y_pred: Any = None, labels: Any = None, **_: Any) -> None:
    """Log the confusion matrix of predictions."""
    _log("confusion_matrix", charts.confusion_matrix(y_true=y_true, preds=y_pred, class_names=labels))


def plot_roc(y_true: Any = None, y_probas: Any = None, labels: Any = None, **_: Any) -> None:
    """Log the ROC curves of probabilities."""
    _log("roc", charts.roc_curve(y_true, y_probas, labels=labels))


def plot_precision_recall(y_true: Any = None, y_probas: Any = None, labels: Any = None, **_: Any) -> None:
    """Log the precision-recall curves of probabilities."""
    _log("precision_recall", charts.pr_curve(y_true, y_probas, labels=labels))


def plot_classifier(
    model: Any,
    X_train: Any,  # noqa: N803 - as W&B
    X_test: Any,  # noqa: N803 - as W&B
    y_train: Any,
    y_test: Any,
    y_pred: Any,
    y_probas: Any = None,
    labels: Any = None,
    **_: Any,
) -> None:
    """Log parameters, scores, and the charts of a classifier."""
    log_estimator(model, X_test, y_test)
    (open_runs.current or start.init()).summary["train_score"] = float(model.score(X_train, y_train))
    plot_confusion_matrix(y_test, y_pred, labels)
    if y_probas is not None:
        plot_roc(y_test, y_probas, labels)
        plot_precision_recall(y_test, y_probas, labels)


def plot_regressor(model: Any, X_train: Any, X_test: Any, y_train: Any, y_test: Any, **_: Any) -> None:  # noqa: N803 - as W&B
    """Log parameters and scores of a regressor."""
    log_estimator(model, X_test, y_test)
    (open_runs.current or start.init()).summary["train_score"] = float(model.score(X_train, y_train))


def _log(name: str, chart: Any) -> None:
    (open_runs.current or start.init()).log({name: chart})


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
