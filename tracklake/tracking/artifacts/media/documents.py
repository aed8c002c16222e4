"""HTML, molecules, point clouds, plotly figures and graphs of layers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tracklake.errors import UnstorableValueError
from tracklake.schema.arrays import as_numpy
from tracklake.tracking.artifacts.media.media import FileMedia, existing_path


class Html(FileMedia):
    """A page: HTML text, a path that ends in .html, or an open file. `inject` is accepted and means nothing.

    >>> with tl.init(id="r1") as run:
    ...     run.log({"report": Html("<b>done</b>")})
    >>> run.summary["report"]["_type"]
    'html-file'
    """

    type_name = "html-file"

    def __init__(self, data: Any, inject: bool = True, data_is_not_path: bool = False) -> None:  # noqa: ARG002
        path = None if data_is_not_path else existing_path(data)
        text = data.read() if hasattr(data, "read") else data
        if path is None and not isinstance(text, str):
            raise UnstorableValueError(f"a {type(data).__name__} is no page; give HTML text, a path or an open file")
        super().__init__(path or str(text).encode(), suffix=".html")


class Molecule(FileMedia):
    """A molecule: the path of a file (pdb, pqr, mmcif, sdf, mol, mol2 ...), or an open file with `file_type`.

    >>> import io
    >>> Molecule(io.StringIO("HEADER"), file_type="pdb", caption="water").about()
    {'caption': 'water'}
    """

    type_name = "molecule-file"

    def __init__(self, data_or_path: Any, caption: str | None = None, file_type: str | None = None) -> None:
        self.caption = caption
        path = existing_path(data_or_path)
        if path is None and not (hasattr(data_or_path, "read") and file_type):
            raise UnstorableValueError(
                f"{data_or_path!r:.80} is no molecule; give a path, or an open file and file_type"
            )
        text = "" if path is not None else data_or_path.read()
        super().__init__(path or str(text).encode(), suffix=f".{file_type}")

    def about(self) -> dict[str, Any]:
        """Return its caption.

        >>> import io
        >>> Molecule(io.StringIO("HEADER"), file_type="pdb").about()
        {}
        """
        return {"caption": self.caption} if self.caption else {}


class Object3D(FileMedia):
    """A cloud of points, as an array (n, 3), (n, 4) or (n, 6), W&B's dict of a scene, or the path of a file.

    >>> import numpy as np
    >>> Object3D(np.zeros((5, 3)))._suffix
    '.pts.json'
    """

    type_name = "object3D-file"

    def __init__(self, data_or_path: Any, caption: str | None = None, **_: object) -> None:
        self.caption = caption
        path = existing_path(data_or_path)
        super().__init__(path or self._points(data_or_path), suffix=".pts.json")

    @classmethod
    def from_file(cls, data_or_path: Any, file_type: str | None = None) -> Object3D:  # noqa: ARG003 - as W&B
        """Return one of a file.

        >>> _ = __import__("pathlib").Path("room.obj").write_text("v 0 0 0")
        >>> Object3D.from_file("room.obj")
        Object3D()
        """
        return cls(data_or_path)

    @classmethod
    def from_numpy(cls, data: Any) -> Object3D:
        """Return one of an array.

        >>> import numpy as np
        >>> Object3D.from_numpy(np.zeros((5, 3)))
        Object3D()
        """
        return cls(data)

    @classmethod
    def from_point_cloud(cls, points: Any, boxes: Any = (), vectors: Any = (), **_: object) -> Object3D:
        """Return a scene of points with boxes.

        >>> Object3D.from_point_cloud([[0, 0, 0]], boxes=[])
        Object3D()
        """
        scene = {"type": "lidar/beta", "points": points, "boxes": boxes, "vectors": vectors}
        return cls(scene)

    def about(self) -> dict[str, Any]:
        """Return its caption.

        >>> Object3D([[0, 0, 0]], caption="room").about()
        {'caption': 'room'}
        """
        return {"caption": self.caption} if self.caption else {}

    @staticmethod
    def _points(points: Any) -> bytes:
        array = as_numpy(points)
        if array is None and not isinstance(points, Mapping | Sequence):
            raise UnstorableValueError(
                f"a {type(points).__name__} is no cloud of points; give an array (n, 3), or a path"
            )
        return json.dumps(points if array is None else array.tolist(), default=_listed).encode()


class Plotly(FileMedia):
    """A plotly figure, stored as its JSON; a matplotlib figure is a picture: use Image.

    >>> Plotly([1, 2])
    Traceback (most recent call last):
    tracklake.errors.UnstorableValueError: a list is no plotly figure; ...
    """

    type_name = "plotly-file"

    def __init__(self, val: Any) -> None:
        if not hasattr(val, "to_json"):
            raise UnstorableValueError(
                f"a {type(val).__name__} is no plotly figure; a picture of it is wandb.Image(...)"
            )
        super().__init__(str(val.to_json()).encode(), suffix=".plotly.json")


class Graph(FileMedia):
    """A graph of layers: nodes and edges as they were added, stored as JSON; it is not drawn.

    >>> graph = Graph()
    >>> graph.add_node(id="conv1", class_name="Conv2d")
    >>> graph.add_edge("conv1", "fc"), len(graph.nodes)
    (None, 1)
    """

    type_name = "graph-file"

    def __init__(self, format: str = "keras") -> None:  # noqa: A002 - as W&B
        self.format = format
        self.nodes: list[dict[str, Any]] = []
        self.edges: list[tuple[str, str]] = []
        super().__init__(b"", suffix=".graph.json")

    def add_node(self, node: object = None, **about: Any) -> None:
        """Add a node by what describes it.

        >>> Graph().add_node(id="conv1")
        """
        self.nodes.append(about or {"id": str(node)})

    def add_edge(self, from_node: object, to_node: object) -> None:
        """Add an edge between two nodes.

        >>> Graph().add_edge("conv1", "fc")
        """
        self.edges.append((str(from_node), str(to_node)))

    def save(self, lake: Any) -> Any:
        """Write nodes and edges into the files of the lake.

        >>> lake = tl.open("lake", create=True)._storage
        >>> Graph().save(lake).size
        45
        """
        content = {"format": self.format, "nodes": self.nodes, "edges": self.edges}
        self._source = json.dumps(content, default=str).encode()
        return super().save(lake)


def box3d(**about: Any) -> dict[str, Any]:
    """Return a box of a scene as a dict: center, size, orientation, color, label, score.

    >>> box3d(center=(0, 0, 0), size=(1, 1, 1))
    {'center': (0, 0, 0), 'size': (1, 1, 1)}
    """
    return about


def _listed(value: Any) -> Any:
    array = as_numpy(value)
    return str(value) if array is None else array.tolist()


class Classes:
    """Names of classes by id, for boxes and masks of pictures.

    >>> Classes([{"id": 0, "name": "cat"}]).names
    {0: 'cat'}
    """

    def __init__(self, class_set: Sequence[Mapping[str, Any]]) -> None:
        self.names = {entry["id"]: entry["name"] for entry in class_set}
