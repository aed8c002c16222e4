r"""Names: of metrics, of paths into config and summary, of statistics, of runs and projects; and globs over them.

A metric has one name, the dotted one: `{"train": {"loss": 1}}`, `"train.loss"` and `r"train\.loss"` all say
`train.loss`.
Config and summary are trees whose keys may hold dots themselves; a path into them escapes those (`join`, `split`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tracklake.errors import UnknownNameError

STATISTICS: tuple[str, ...] = (
    "min",
    "max",
    "mean",
    "std",
    "sum",
    "count",
    "first",
    "last",
    "argmin",
    "argmax",
    "best",
    "best_step",
    "n_nan",
    "n_inf",
)
"""The statistics of a series that have a fixed name; quantiles (`p95`, `p99.9`) come beside them."""
_ACCEPTED = f"there are {', '.join(STATISTICS)} and quantiles such as p95"

_SAFE_LENGTH = 40

_PLAIN = (float, int, str)  # the usual values, told apart from mappings at the price of one isinstance
_PIECE = re.compile(r"\\[\\.]|\.|[^\\.]+|\\")
_QUANTILE = re.compile(r"p([0-9]{1,2}(\.[0-9]+)?|100(\.0+)?)")
# Not greedy, so that "loss.p99.9" is split before the p; a dot behind a backslash belongs to the metric's name.
_METRIC_AND_STATISTIC = re.compile(r"(.+?)(?<!\\)\.(p[0-9]+\.[0-9]+|[^.]*)", re.DOTALL)


def metric_name(name: str) -> str:
    r"""Return the one name of a metric: W&B's escaped dots become plain ones; all else stays.

    >>> metric_name(r"train\.loss")
    'train.loss'
    """
    while r"\." in name:  # until none is left: a stored name means itself when it is given again
        name = name.replace(r"\.", ".")
    return name


def flatten(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the row with nested mappings flattened into dotted metric names, in the order in which they were said.

    A mapping with `_type` is a value itself, an empty one says nothing. Of two keys that say one full name the later
    holds. A parent and its children are different metrics, and both are kept.

    Raises TypeError if the row is no mapping or has a key that is no string, and ValueError for an empty key. Keys
    inside nested mappings may be anything; they are made strings.

    >>> flatten({"lr": 0.1, "train": {"loss": 2, "layer": {3: 0.5}}})
    {'lr': 0.1, 'train.loss': 2, 'train.layer.3': 0.5}
    """
    if not isinstance(row, Mapping):
        raise TypeError(
            f"a row is a mapping of metric names to values, such as {{'loss': 0.3}}; got {type(row).__name__}"
        )
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if not isinstance(key, str):
            raise TypeError(f"a metric name is a string; got {key!r} ({type(key).__name__}); use {str(key)!r}")
        if not key:
            raise ValueError(f"a metric name must not be empty; it was given for the value {value!r}")
        try:
            _put(flat, key, value)
        except RecursionError:  # a dict that holds itself: left whole, for the caller to refuse
            flat = {name: other for name, other in flat.items() if not name.startswith(f"{key}.")} | {key: value}
    return flat


def _put(flat: dict[str, Any], name: str, value: Any) -> None:
    if not isinstance(value, _PLAIN) and isinstance(value, Mapping) and "_type" not in value:
        for key, below in value.items():
            _put(flat, name + "." + (key if isinstance(key, str) else str(key)), below)
        return
    if "\\" in name:
        name = metric_name(name)
    flat.pop(name, None)  # so that the order is that of what was said last
    flat[name] = value


def join(parts: Sequence[str]) -> str:
    r"""Return the path of at least one part as one text, in which dots and backslashes of the parts are escaped.

    Raises ValueError for no part.

    >>> print(join(["optimizer", "betas.0"]))
    optimizer.betas\.0
    """
    if not parts:
        raise ValueError("a path has at least one part; got none")
    return ".".join(part.replace("\\", r"\\").replace(".", r"\.") for part in parts)


def split(path: str) -> list[str]:
    r"""Return the parts of a path: the inverse of `join`. A backslash before anything else means itself.

    >>> split(r"optimizer.betas\.0")
    ['optimizer', 'betas.0']
    """
    if "\\" not in path:
        return path.split(".")
    parts = [""]
    for piece in _PIECE.findall(path):
        if piece == ".":
            parts.append("")
        else:
            parts[-1] += piece[1:] if piece in (r"\\", r"\.") else piece
    return parts


def column(path: str) -> str:
    r"""Return the plain dotted name that a path has as a column.

    >>> column(r"optimizer.betas\.0")
    'optimizer.betas.0'
    """
    return ".".join(split(path))


def parents(name: str) -> list[str]:
    """Return the names above a dotted name, the shortest first.

    >>> parents("a.b.c"), parents("loss")
    (['a', 'a.b'], [])
    """
    return [name[:at] for at, char in enumerate(name) if char == "."] if "." in name else []


def first_part(name: str) -> str:
    """Return a dotted name up to its first dot.

    >>> first_part("a.b.c"), first_part("loss")
    ('a', 'loss')
    """
    return name.partition(".")[0]


def nest(items: Iterable[tuple[Sequence[str], Any]]) -> dict[str, Any]:
    """Return the nested dict of (path, value) pairs; the later of two that clash replaces the earlier.

    A child of a dict that was given as a value joins that dict; the given one is never changed.

    >>> nest([(["lr"], 0.1), (["model", "depth"], 3), (["model", "width"], 64)])
    {'lr': 0.1, 'model': {'depth': 3, 'width': 64}}
    """
    root: dict[str, Any] = {}
    for path, value in items:
        *parents, name = path
        here = root
        for part in parents:
            if not isinstance(here.get(part), dict):
                here[part] = {}
            here = here[part]
        here[name] = _copied(value)
    return root


def _copied(value: Any) -> Any:
    return {key: _copied(below) for key, below in value.items()} if isinstance(value, dict) else value


def is_glob(name: str) -> bool:
    """Say whether the name is a glob: whether it has a star.

    >>> is_glob("val/*"), is_glob("val/acc?")
    (True, False)
    """
    return "*" in name


@lru_cache(maxsize=4096)
def compile_glob(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a glob, for `match` or `fullmatch`; it has no groups.

    `*` stands for any text, anywhere and as often as wanted; all else is literal. A glob does not match names that
    start with `_`; a pattern without a star matches just itself. The time of a match is linear in the name's length
    for each piece of the pattern.

    >>> bool(compile_glob("*/loss.*").match("val/loss.ce"))
    True
    """
    first, *rest = map(re.escape, metric_name(pattern).split("*"))
    if not rest:
        return re.compile(rf"{first}\Z")
    *middle, last = rest
    # Atomic groups: the leftmost place is always right for a piece in the middle, so nothing is ever tried again.
    pieces = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    return re.compile(rf"(?s:(?!_){first}{pieces}.*{last}\Z)")


def glob_matches(pattern: str, name: str) -> bool:
    """Say whether the glob (or plain name) matches the name; see `compile_glob`.

    >>> glob_matches("val/*", "val/acc"), glob_matches("*", "_step")
    (True, False)
    """
    return compile_glob(pattern).match(name) is not None


def is_statistic(text: str) -> bool:
    """Say whether the text names a statistic: one of STATISTICS or a quantile from p0 to p100.

    >>> is_statistic("argmax"), is_statistic("p99.9"), is_statistic("p101")
    (True, True, False)
    """
    return text in STATISTICS or _QUANTILE.fullmatch(text) is not None


def is_quantile(stat: str | None) -> bool:
    """Say whether a statistic is a quantile.

    >>> is_quantile("p95"), is_quantile("max")
    (True, False)
    """
    return stat is not None and _QUANTILE.fullmatch(stat) is not None


class Statistic(NamedTuple):
    """A statistic of a metric; `stat` is None where the metric alone was named (its bare entry)."""

    metric: str
    stat: str | None


def split_statistic(path: str) -> Statistic | None:
    """Return the metric (or glob) and the statistic that a path ends in; None if its end names none.

    >>> split_statistic("val/acc.p99.9"), split_statistic("val/acc")
    (Statistic(metric='val/acc', stat='p99.9'), None)
    """
    parts = _METRIC_AND_STATISTIC.fullmatch(path)
    return Statistic(metric_name(parts[1]), parts[2]) if parts and is_statistic(parts[2]) else None


def parse_statistic(path: str | tuple[str, str | None], *, metrics: Collection[str]) -> Statistic:
    """Return which statistic of which of the metrics is asked for.

    A text is a metric if there is one of that whole name, else its last dotted part is a statistic of the rest. A
    tuple (metric, statistic) is always exact. Raises UnknownNameError, which names the nearest and says what of the
    path was understood, and TypeError for what is neither.

    >>> parse_statistic("val/acc.p99.9", metrics={"val/acc"})
    Statistic(metric='val/acc', stat='p99.9')
    >>> parse_statistic("loss.min", metrics={"loss", "loss.min"})
    Statistic(metric='loss.min', stat=None)
    >>> parse_statistic(("loss", "min"), metrics={"loss", "loss.min"})
    Statistic(metric='loss', stat='min')
    """
    if isinstance(path, str):
        return _parsed(path, metrics)
    pair = isinstance(path, tuple) and len(path) == 2 and isinstance(path[0], str)  # noqa: PLR2004
    if not pair or not isinstance(path[1], str | None):
        raise TypeError(f"a statistic is 'metric.statistic' or the tuple (metric, statistic); got {path!r}")
    metric, stat = metric_name(path[0]), path[1]
    if metric not in metrics:
        raise UnknownNameError.nearest("metric", metric, metrics)
    if stat is not None and not is_statistic(stat):
        raise UnknownNameError(f"{UnknownNameError.nearest('statistic', stat, STATISTICS)} ({_ACCEPTED})")
    return Statistic(metric, stat)


def _parsed(path: str, metrics: Collection[str]) -> Statistic:
    whole = metric_name(path)
    if whole in metrics:
        return Statistic(whole, None)
    parts = _METRIC_AND_STATISTIC.fullmatch(path)
    if parts is None:
        raise UnknownNameError.nearest("metric", whole, metrics)
    metric, stat = metric_name(parts[1]), parts[2]
    if not is_statistic(stat):
        unknown = UnknownNameError.nearest("metric", whole, metrics)
        raise UnknownNameError(f"{unknown} ({stat!r} is no statistic: {_ACCEPTED})")
    if metric not in metrics:
        unknown = UnknownNameError.nearest("metric", metric, metrics)
        raise UnknownNameError(f"{unknown} ({stat!r} was understood as a statistic of it)")
    return Statistic(metric, stat)


def safe_name(run_id: str) -> str:
    """Return the form of a run id that any file system takes; equal just for ids that differ in case only.

    At most 40 readable characters of [a-z0-9_-], a dash, and 10 hex digits of a hash of the case-folded id.

    >>> safe_name("ResNet 50")
    'resnet_50-2f9a93e4a2'
    """
    folded = run_id.casefold()
    digest = hashlib.sha256(folded.encode()).hexdigest()[:10]
    return re.sub(r"[^a-z0-9_-]", "_", folded)[:_SAFE_LENGTH] + "-" + digest
