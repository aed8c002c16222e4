"""Every public function shows by an example, which the suite runs, what it is for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "tracklake"
WITHOUT = {
    "cli/demo": {"demo", "report", "tree"},  # tests/cli/test_demo.py
    "cli/demo_sweep": {"digits", "measure", "train", "train_all"},  # likewise
    "analysis/stats/fanova": {"boxes", "forest"},  # of a fitted forest
    "analysis/importance": {"permuted"},  # likewise
    "plots/figure": {"start_engine"},  # a thread, and nothing to see
    "tracking/open_runs": {"OpenRuns.forget_in_child"},  # a fork
    "query/run_table": {"RunTable.names"},  # what is there is shown by its class
    "query/derived_snapshot": {"applied", "inputs_of"},  # steps of computing what DerivedSnapshot shows
    "query/text_columns": {f"TextColumns.{name}" for name in ("wanted", "frame", "edits", "spelled", "types")},
    "query/wrapped_snapshot": {
        f"WrappedSnapshot.{name}"
        for name in (
            "n_stored",
            "alive",
            "live_points",
            "history_files",
            "metrics_of",
            "points",
            "pieces",
            "comes_in_order",
            "statements_of_lakes",
            "excerpts",
            "left_out",
        )
    },  # what they pass on is shown where it comes from
    "storage/table/snapshot_view": {
        "SnapshotView.disputed",
        "SnapshotView.logged",
        "SnapshotView.computed",
    },  # sessions that disagree take a page
    "engines/dask": {"DaskTasks.map"},  # tests/engines, where there is Dask ...
    "engines/ray": {"RayTasks.map"},  # ... Ray ...
    "engines/spark": {"SparkTasks.map"},
    "engines/spark_views": {"register"},  # ... and Spark
    "cli/terminal": {"height", "width"},  # of whatever terminal there is
}
"""What needs more to be shown than an example can hold."""
FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.name != "conftest.py" and "integrations" not in path.parts
)
"""A library calls the methods of its integration: there the module shows an example of the whole."""


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def public(body: list[ast.stmt], above: str = ""):
    """Yield (name, function) of what can be called or read; stubs, commands and what a protocol asks for left out."""
    for node in body:
        if isinstance(node, ast.ClassDef) and "Protocol" not in map(ast.unparse, node.bases):
            yield from public(node.body, f"{above}{node.name}.") if node.name[0] != "_" else ()
        elif isinstance(node, ast.FunctionDef) and node.name[0] != "_" and not is_exempt(node):
            yield above + node.name, node


def is_exempt(node: ast.FunctionDef) -> bool:
    """Tell whether another text shows it: the help of a command, the getter of a setter, the owner of a stub."""
    decorators = " ".join(map(ast.unparse, node.decorator_list))
    is_stub = ast.unparse(node.body[-1]) == "raise NotImplementedError"
    return is_stub or any(
        word in decorators for word in (".command(", ".group(", ".setter", "overload", "abstractmethod")
    )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_public_function_has_an_example(path: Path):
    """Its docstring has a `>>>`, unless it is among those that are known to have none."""
    found = public(ast.parse(path.read_text(encoding="utf-8")).body)
    lacking = {name for name, node in found if ">>>" not in (ast.get_docstring(node) or "")}
    assert lacking == WITHOUT.get(name_of(path), set())
