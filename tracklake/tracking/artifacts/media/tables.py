"""Tables of mixed cells, media among them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracklake.errors import UnstorableValueError
from tracklake.schema import values
from tracklake.tracking.artifacts.media.content import save_bytes
from tracklake.tracking.artifacts.media.media import Media

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tracklake.storage.backend import Storage
    from tracklake.tracking.artifacts.media.content import StoredFile


class Table(Media):
    """Rows of cells under named columns: numbers, texts, lists, pictures and other media, mixed as they come.

    Takes `columns` and `data` (a list of rows), or a pandas or polars `dataframe`. Types of columns are not checked:
    `dtype`, `optional` and `allow_mixed_types` are accepted and mean nothing. Stored as JSON: columns, and data row by
    row. Raises UnstorableValueError where a row has not as many cells as there are columns.

    >>> table = Table(columns=["label", "score"], data=[["cat", 0.9]])
    >>> table.add_data("dog", 0.7)
    >>> len(table), table.get_column("score")
    (2, [0.9, 0.7])
    """

    type_name = "table-file"
    MAX_ROWS = 200_000
    MAX_ARTIFACT_ROWS = 200_000

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,  # noqa: ARG002 - as W&B
        optional: Any = True,  # noqa: ARG002 - as W&B
        allow_mixed_types: bool = False,  # noqa: ARG002 - as W&B
        log_mode: str = "IMMUTABLE",
    ) -> None:
        frame = dataframe if dataframe is not None else data if hasattr(data, "columns") else None
        names, cells = _of_frame(frame) if frame is not None else (columns, data if data is not None else rows)
        self.columns = [str(name) for name in names] if names is not None else ["Input", "Output", "Expected"]
        self.log_mode = log_mode
        self.data: list[list[Any]] = []
        for row in [] if cells is None else cells:
            self.add_data(*row)

    def add_data(self, *cells: Any) -> None:
        """Append a row.

        >>> Table(columns=["a", "b"]).add_data(1)
        Traceback (most recent call last):
        tracklake.errors.UnstorableValueError: a row of 1 cell does not fit the 2 columns ['a', 'b']
        """
        if len(cells) != len(self.columns):
            plural = "" if len(cells) == 1 else "s"
            raise UnstorableValueError(
                f"a row of {len(cells)} cell{plural} does not fit the {len(self.columns)} columns {self.columns}"
            )
        self.data.append(list(cells))

    def add_row(self, *row: Any) -> None:
        """Append a row; W&B's older name of `add_data`.

        >>> Table(columns=["a"]).add_row(1)
        """
        self.add_data(*row)

    def add_column(self, name: str, data: Sequence[Any], optional: bool = False) -> None:  # noqa: ARG002
        """Append a column of as many cells as there are rows.

        >>> table = Table(columns=["a"], data=[[1], [2]])
        >>> table.add_column("b", [3, 4])
        >>> table.data
        [[1, 3], [2, 4]]
        """
        cells = list(data)
        if self.data and len(cells) != len(self.data):
            raise UnstorableValueError(f"column {name!r} has {len(cells)} cells, the table has {len(self.data)} rows")
        rows = self.data or [[] for _ in cells]
        self.data = [[*row, cell] for row, cell in zip(rows, cells, strict=True)]
        self.columns.append(name)

    def add_computed_columns(self, function: Callable[[int, dict[str, Any]], Mapping[str, Any]]) -> None:
        """Append columns that a function computes of each row's number and its cells by name.

        >>> table = Table(columns=["a"], data=[[1], [2]])
        >>> table.add_computed_columns(lambda i, row: {"twice": row["a"] * 2})
        >>> table.get_column("twice")
        [2, 4]
        """
        computed = [function(i, dict(zip(self.columns, row, strict=True))) for i, row in enumerate(self.data)]
        for name in dict.fromkeys(name for row in computed for name in row):
            self.add_column(name, [row.get(name) for row in computed])

    def get_column(self, name: str, convert_to: str | None = None) -> Any:
        """Return the cells of a column, with `convert_to="numpy"` as an array. Raises KeyError.

        >>> Table(columns=["a"], data=[[1], [2]]).get_column("a", convert_to="numpy").sum()
        np.int64(3)
        """
        if name not in self.columns:
            raise KeyError(f"the table has no column {name!r}; it has {self.columns}")
        at = self.columns.index(name)
        cells = [row[at] for row in self.data]
        if convert_to is None:
            return cells
        import numpy as np

        return np.array(cells)

    def get_index(self) -> list[int]:
        """Return the numbers of the rows.

        >>> Table(columns=["a"], data=[[1], [2]]).get_index()
        [0, 1]
        """
        return list(range(len(self.data)))

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield the number and the cells of each row.

        >>> list(Table(columns=["a"], data=[[1]]).iterrows())
        [(0, [1])]
        """
        return enumerate(self.data)

    def get_dataframe(self) -> Any:
        """Return it as a pandas.DataFrame.

        >>> Table(columns=["a"], data=[[1], [2]]).get_dataframe()["a"].sum()
        np.int64(3)
        """
        import pandas as pd

        return pd.DataFrame(self.data, columns=self.columns)

    def cast(self, *_: object, **__: object) -> None:
        """Do nothing: columns take cells of any type.

        >>> Table(columns=["a"]).cast("a", int)
        """

    def set_pk(self, *_: object) -> None:
        """Do nothing: there are no keys.

        >>> Table(columns=["a"]).set_pk("a")
        """

    set_fk = set_pk

    def save(self, lake: Storage) -> StoredFile:
        """Write its cells, and the media among them, into the files of the lake.

        >>> lake = tl.open("lake", create=True)._storage
        >>> Table(columns=["a"], data=[[1]]).save(lake).path[-11:]
        '.table.json'
        """
        rows = [[_cell(cell, lake) for cell in row] for row in self.data]
        text = json.dumps({"columns": self.columns, "data": rows}, ensure_ascii=False)
        return save_bytes(text.encode(), lake=lake, suffix=".table.json")

    @classmethod
    def load(cls, path: Path) -> Table:
        """Return a stored table; media among its cells are their entries.

        >>> lake = tl.open("lake", create=True)._storage
        >>> file = Table(columns=["a"], data=[[1]]).save(lake)
        >>> Table.load(lake.fetch(file.path)).data
        [[1]]
        """
        content = json.loads(path.read_bytes())
        return cls(columns=content["columns"], data=content["data"])

    def about(self) -> dict[str, Any]:
        """Return how many columns and rows it has.

        >>> Table(columns=["a"], data=[[1]]).about()
        {'ncols': 1, 'nrows': 1}
        """
        return {"ncols": len(self.columns), "nrows": len(self.data)}

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and (self.columns, self.data) == (other.columns, other.data)

    __hash__ = None  # type: ignore[assignment] # rows may be added


def _of_frame(frame: Any) -> tuple[list[str], Iterable[Sequence[Any]]]:
    """Return the columns and rows of a pandas or polars frame."""
    if hasattr(frame, "itertuples"):
        return list(frame.columns), frame.itertuples(index=False, name=None)
    if hasattr(frame, "iter_rows"):
        return list(frame.columns), frame.iter_rows()
    raise UnstorableValueError(f"a {type(frame).__name__} is no frame; give one of pandas or polars")


def _cell(cell: object, lake: Storage) -> Any:
    """Return a cell as JSON has it; what has no stored form becomes its text."""
    if isinstance(cell, Media):
        return cell.to_entry(lake)
    try:
        stored = values.store(cell, name="a cell")
    except UnstorableValueError:
        return str(cell)
    return values.restore(*stored)
