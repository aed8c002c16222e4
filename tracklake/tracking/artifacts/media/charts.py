"""Charts of W&B's `plot`: a table, and which of its columns are drawn how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.common.lazy_numpy import np
from tracklake.errors import UnstorableValueError
from tracklake.tracking.artifacts.media.media import Media
from tracklake.tracking.artifacts.media.tables import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracklake.storage.backend import Storage
    from tracklake.tracking.artifacts.media.content import StoredFile

MOST_POINTS = 10_000
"""Rows of a curve that is computed here; more are thinned evenly."""


class CustomChart(Media):
    """A chart: the table that it draws, its kind, and which columns are its fields.

    >>> chart = bar(Table(columns=["label", "n"], data=[["cat", 3]]), "label", "n", title="Counts")
    >>> chart.about()["fields"]
    {'label': 'label', 'value': 'n'}
    """

    type_name = "custom-chart"

    def __init__(
        self, kind: str, table: Table, fields: Mapping[str, str], strings: Mapping[str, str | None] | None = None
    ) -> None:
        self.kind = kind
        self.table = table
        self.fields = dict(fields)
        self.strings = {key: text for key, text in (strings or {}).items() if text}
        if absent := [column for column in self.fields.values() if column not in table.columns]:
            raise UnstorableValueError(f"the chart draws columns {absent}, the table has {table.columns}")

    def save(self, lake: Storage) -> StoredFile:
        """Write its table into the files of the lake.

        >>> lake = tl.open("lake", create=True)._storage
        >>> scatter(Table(columns=["a", "b"], data=[[1, 2]]), "a", "b").save(lake).path[-11:]
        '.table.json'
        """
        return self.table.save(lake)

    def about(self) -> dict[str, Any]:
        """Return its kind, fields and title.

        >>> line(Table(columns=["a", "b"], data=[[1, 2]]), "a", "b").about()
        {'chart': 'line', 'fields': {'x': 'a', 'y': 'b'}, 'nrows': 1}
        """
        return {"chart": self.kind, "fields": self.fields, "nrows": len(self.table), **self.strings}


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: Mapping[str, str],
    string_fields: Mapping[str, str | None] | None = None,
    split_table: bool = False,  # noqa: ARG001 - as W&B
) -> CustomChart:
    """Return a chart of a kind that is only named: `fields` maps its fields to columns. It is stored, and not drawn.

    >>> plot_table("me/gauge", Table(columns=["v"], data=[[1]]), {"value": "v"}).kind
    'me/gauge'
    """
    return CustomChart(vega_spec_name, data_table, fields, string_fields)


def bar(table: Table, label: str, value: str, title: str = "", split_table: bool = False) -> CustomChart:  # noqa: ARG001
    """Return bars: one a row, as long as its value.

    >>> bar(Table(columns=["label", "n"], data=[["cat", 3]]), "label", "n").kind
    'bar'
    """
    return CustomChart("bar", table, {"label": label, "value": value}, {"title": title})


def histogram(table: Table, value: str, title: str = "", split_table: bool = False) -> CustomChart:  # noqa: ARG001
    """Return the histogram of a column.

    >>> histogram(Table(columns=["n"], data=[[3]]), "n").fields
    {'value': 'n'}
    """
    return CustomChart("histogram", table, {"value": value}, {"title": title})


def line(
    table: Table,
    x: str,
    y: str,
    stroke: str | None = None,
    title: str = "",
    split_table: bool = False,  # noqa: ARG001
) -> CustomChart:
    """Return a line of y over x; `stroke` is a column that tells lines apart.

    >>> line(Table(columns=["a", "b"], data=[[1, 2]]), "a", "b").kind
    'line'
    """
    fields = {"x": x, "y": y} | ({"stroke": stroke} if stroke else {})
    return CustomChart("line", table, fields, {"title": title})


def scatter(table: Table, x: str, y: str, title: str = "", split_table: bool = False) -> CustomChart:  # noqa: ARG001
    """Return a point a row.

    >>> scatter(Table(columns=["a", "b"], data=[[1, 2]]), "a", "b").kind
    'scatter'
    """
    return CustomChart("scatter", table, {"x": x, "y": y}, {"title": title})


def line_series(
    xs: Sequence[Any],
    ys: Sequence[Sequence[Any]],
    keys: Sequence[str] | None = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,  # noqa: ARG001
) -> CustomChart:
    """Return several lines, over one `xs` or one each.

    >>> line_series([0, 1], [[1, 2], [3, 4]], keys=["a", "b"]).table.data[-1]
    [1, 'b', 4]
    """
    per_line = [list(x) for x in xs] if len(xs) and hasattr(xs[0], "__len__") else [list(xs)] * len(ys)
    names = [str(key) for key in keys] if keys else [f"key_{i}" for i in range(len(ys))]
    rows = [
        [x, name, y]
        for name, line_xs, line_ys in zip(names, per_line, ys, strict=True)
        for x, y in zip(line_xs, line_ys, strict=False)
    ]
    fields = {"x": xname, "y": "lineVal", "stroke": "lineKey"}
    return CustomChart("lineseries", Table(columns=[xname, "lineKey", "lineVal"], data=rows), fields, {"title": title})


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion Matrix Curve",
    split_table: bool = False,  # noqa: ARG001
) -> CustomChart:
    """Return how often each class was predicted as each, from probabilities (n, classes) or predictions (n,).

    >>> confusion_matrix(y_true=[0, 1, 1], preds=[0, 1, 0], class_names=["cat", "dog"]).table.data[2]
    ['dog', 'cat', 1]
    """
    if (probs is None) == (preds is None) or y_true is None:
        raise UnstorableValueError("confusion_matrix takes y_true and one of probs (n, classes) and preds (n,)")
    truth = np.asarray(y_true)
    predictions = np.asarray(preds) if probs is None else np.asarray(probs).argmax(axis=1)
    n = len(class_names) if class_names else int(max(truth.max(), predictions.max())) + 1
    names = list(class_names) if class_names else [f"Class_{i}" for i in range(n)]
    counts = np.zeros((n, n), dtype=np.int64)
    np.add.at(counts, (truth, predictions), 1)
    rows = [[names[i], names[j], int(counts[i, j])] for i in range(n) for j in range(n)]
    fields = {"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"}
    return CustomChart("confusion_matrix", Table(columns=list(fields), data=rows), fields, {"title": title})


def roc_curve(
    y_true: Any = None,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    title: str = "ROC Curve",
    split_table: bool = False,  # noqa: ARG001
) -> CustomChart:
    """Return the rate of true over that of false positives at each threshold, one class against the others.

    >>> roc_curve([0, 1], [[0.9, 0.1], [0.2, 0.8]]).table.data[:2]
    [[0, 0.0, 0.0], [0, 0.0, 1.0]]
    """
    rows = []
    for name, hits, misses in _cumulated(y_true, y_probas, labels, classes_to_plot):
        true_rate, false_rate = hits / max(hits[-1], 1), misses / max(misses[-1], 1)
        rows += [[name, x, y] for x, y in zip(false_rate.tolist(), true_rate.tolist(), strict=True)]
    table = Table(columns=["class", "fpr", "tpr"], data=rows)
    return CustomChart("roc", table, {"x": "fpr", "y": "tpr", "class": "class"}, {"title": title})


def pr_curve(
    y_true: Any = None,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    interp_size: int = 21,  # noqa: ARG001 - every threshold is kept
    title: str = "Precision-Recall Curve",
    split_table: bool = False,  # noqa: ARG001
) -> CustomChart:
    """Return precision over recall at each threshold, one class against the others.

    >>> pr_curve([0, 1], [[0.9, 0.1], [0.2, 0.8]]).table.data[0]
    [0, 1.0, 1.0]
    """
    rows = []
    for name, hits, misses in _cumulated(y_true, y_probas, labels, classes_to_plot):
        recall, precision = hits[1:] / max(hits[-1], 1), hits[1:] / (hits[1:] + misses[1:])
        rows += [[name, x, y] for x, y in zip(recall.tolist(), precision.tolist(), strict=True)]
    table = Table(columns=["class", "recall", "precision"], data=rows)
    return CustomChart("pr", table, {"x": "recall", "y": "precision", "class": "class"}, {"title": title})


def _cumulated(y_true: Any, y_probas: Any, labels: Sequence[str] | None, chosen: Sequence[Any] | None) -> Any:
    """Yield each class, and its numbers of true and false positives as the threshold falls, from none on."""
    truth, probabilities = np.asarray(y_true), np.asarray(y_probas)
    classes = np.unique(truth)
    if truth.ndim != 1 or probabilities.shape != (len(truth), len(classes)):
        raise UnstorableValueError(
            f"y_probas has shape {probabilities.shape}; of {len(truth)} labels of {len(classes)} classes it is "
            f"({len(truth)}, {len(classes)})"
        )
    for i, label in enumerate(classes.tolist()):
        if chosen is not None and label not in chosen:
            continue
        order = np.argsort(-probabilities[:, i], kind="stable")
        is_last = np.append(np.diff(probabilities[order, i]) != 0, True)
        matches = truth[order] == label
        hits, misses = (np.insert(np.cumsum(m)[is_last], 0, 0) for m in (matches, ~matches))
        sample = np.unique(np.linspace(0, len(hits) - 1, min(len(hits), MOST_POINTS)).astype(int))
        yield labels[i] if labels else label, hits[sample], misses[sample]


def visualize(id: str, value: Table) -> CustomChart:  # noqa: A002 - as W&B
    """Return a chart of a kind that is only named, of all columns.

    >>> visualize("me/gauge", Table(columns=["v"], data=[[1]])).fields
    {'v': 'v'}
    """
    return CustomChart(id, value, {column: column for column in value.columns})
