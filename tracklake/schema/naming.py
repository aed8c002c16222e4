r"""Names: of metrics, of paths into config and summary, of statistics, of runs and projects; and globs over them.

A metric has one name, the dotted one: `{"train": {"loss": 1}}`, `"train.loss"` and `r"train\.loss"` all say
`train.loss`.
Config and summary are trees whose keys may hold dots themselves; a path into them escapes those (`join`, `split`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

_SAFE_LENGTH = 40

_PLAIN = (float, int, str)  # the usual values, told apart from mappings at the price of one isinstance
_PIECE = re.compile(r"\\[\\.]|\.|[^\\.]+|\\")
# Not greedy, so that "loss.p99.9" is split before the p; a dot behind a backslash belongs to the metric's name.


def metric_name(name: str) -> str:
    r"""Return the one name of a metric: W&B's escaped dots become plain ones; all else stays.

    >>> metric_name(r"train\.loss")
    'train.loss'
    """
    while r"\." in name:  # until none is left: a stored name means itself when it is given again
        name = name.replace(r"\.", ".")
    return name


def encodable(name: str) -> str:
    r"""Return a name as it can be stored: what is no text in it (half a surrogate pair) is escaped.

    >>> encodable("loss"), encodable("loss\udcff")
    ('loss', 'loss\\udcff')
    """
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def flatten(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the row with nested mappings flattened into dotted metric names, in the order in which they were given.

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
    flat.pop(name, None)  # so that the order is that of the latest
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


def nest_entries(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested dict of values by dotted name, in which a name under another one keeps its flat key.

    >>> nest_entries({"lat.p50": 1, "lat.p99": 2, "lat.p99.9": 3})
    {'lat': {'p50': 1, 'p99': 2, 'p99.9': 3}}
    """
    root: dict[str, Any] = {}
    for name in sorted(entries):
        here, start = root, 0
        for parent in parents(name):
            if parent in entries:
                break  # a value stands there: what is left of the name is the key
            here, start = here.setdefault(parent[start:], {}), len(parent) + 1
        here[name[start:]] = _copied(entries[name])
    return root


def _copied(value: Any) -> Any:
    return {key: _copied(below) for key, below in value.items()} if isinstance(value, dict) else value


def is_glob(name: str) -> bool:
    """Return whether the name is a glob: whether it has a star.

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
    first, *others = map(re.escape, metric_name(pattern).split("*"))
    if not others:
        return re.compile(rf"{first}\Z")
    *middle, last = others
    # Atomic groups: the leftmost place is always right for a piece in the middle, so nothing is ever tried again.
    pieces = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    return re.compile(rf"(?s:(?!_){first}{pieces}.*{last}\Z)")


def glob_matches(pattern: str, name: str) -> bool:
    """Return whether the glob (or plain name) matches the name; see `compile_glob`.

    >>> glob_matches("val/*", "val/acc"), glob_matches("*", "_step")
    (True, False)
    """
    return compile_glob(pattern).match(name) is not None


def safe_name(run_id: str) -> str:
    """Return the form of a run id that any file system takes; equal just for ids that differ in case only.

    At most 40 readable characters of [a-z0-9_-], a dash, and 10 hex digits of a hash of the case-folded id.

    >>> safe_name("ResNet 50")
    'resnet_50-2f9a93e4a2'
    """
    folded = run_id.casefold()
    digest = hashlib.sha256(folded.encode()).hexdigest()[:10]
    return re.sub(r"[^a-z0-9_-]", "_", folded)[:_SAFE_LENGTH] + "-" + digest
