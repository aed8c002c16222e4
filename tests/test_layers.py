"""The Architecture table of README.md, held against what the modules import."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracklake as tl

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tracklake"
FRONT = {"cli", "commands", "demo"}
"""The modules that may import at their top what only a terminal needs."""
AT_TOP = set(sys.stdlib_module_names) | {"numpy", "polars", "tracklake"}
"""What any module may import at its top; everything else loads when it is used."""


MODULES = {
    path.stem: path for path in sorted(PACKAGE.iterdir()) if path.suffix == ".py" or (path / "__init__.py").exists()
}


def table() -> list[tuple[str, int]]:
    text = (ROOT / "README.md").read_text()
    section = text.split("\n## Architecture\n", 1)[1].split("\n## ", 1)[0]
    return [
        (module, int(layer))
        for layer, module in re.findall(r"^\| *(\d+) *\| *`(\w+)` *\| *\S.*\|$", section, re.MULTILINE)
    ]


Found = tuple[ast.Import | ast.ImportFrom, bool, bool]
"""An import, whether it stands inside a function, and whether only a type checker sees it."""


@functools.cache
def imports(module: str) -> list[Found]:
    """Return the imports of a module; a folder is one, with the imports of all its files."""
    path = MODULES[module]
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [found for file in files for found in imports_below(ast.parse(file.read_text()))]


def imports_below(node: ast.AST, *, inside: bool = False, checking: bool = False) -> Iterator[Found]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, inside, checking
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            only_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from imports_below(child, inside=inside or function, checking=checking or only_types)


def named(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the dotted modules a statement names; `from tracklake import keys` names tracklake.keys."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    module = "." * statement.level + (statement.module or "")
    if module != "tracklake":
        return [module]
    return [f"tracklake.{alias.name}" if alias.name in MODULES else "tracklake" for alias in statement.names]


def own(statement: ast.Import | ast.ImportFrom) -> set[str]:
    """Return the modules of this package that a statement imports."""
    parts = [name.split(".") for name in named(statement)]
    return {(p[1] if len(p) > 1 else "__init__") for p in parts if p[0] == "tracklake"}


def needs(module: str) -> set[str]:
    """Return the other modules of this package that a module imports."""
    return set().union(*(own(s) for s, _, _ in imports(module))) - {module}


def test_table_names_every_module_once():
    """The Architecture table and the folder hold the same modules, each once."""
    names = [module for module, _ in table()]
    assert sorted(names) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str):
    """A module imports from its own layer and those below it."""
    layer = dict(table())
    assert {other: layer[other] for other in needs(module) if layer[other] > layer[module]} == {}


def test_imports_have_no_cycle():
    """The modules can be read in an order in which each needs only those before it."""
    order = list(graphlib.TopologicalSorter({module: needs(module) for module in MODULES}).static_order())
    assert sorted(order) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_own_imports_are_absolute_and_at_the_top(module: str):
    """The package imports itself by full name, and inside a function only what would slow `import tracklake`."""
    assert [ast.unparse(s) for s, _, _ in imports(module) if getattr(s, "level", 0)] == []
    late = [ast.unparse(s) for s, inside, _ in imports(module) if inside and own(s)]
    assert late == [] or module in ("analysis", "lake")


@pytest.mark.parametrize("module", [module for module in MODULES if module not in FRONT])
def test_engines_are_imported_where_they_are_used(module: str):
    """At the top of a module stand the standard library, numpy and polars; engines load inside the function."""
    at_top = [s for s, inside, checking in imports(module) if not inside and not checking]
    assert {name.split(".")[0] for s in at_top for name in named(s)} - AT_TOP == set()


def test_importing_tracklake_loads_no_engine():
    """`import tracklake` is light: no numpy, duckdb, pyarrow, pandas, click or rich, no statistics, no plots."""
    heavy = {"numpy", "duckdb", "pyarrow", "sklearn", "pandas", "deltalake", "click", "rich", "argparse"}
    heavy |= {"multiprocessing", "tracklake.sweeps", "tracklake.comparison", "tracklake.plots"}
    assert loaded_by("import tracklake", of=heavy) == []


def test_a_table_of_runs_loads_no_engine(tmp_path: Path):
    """Polars alone answers a table of sealed runs with config, entries and statistics, and who is best."""
    for run_id, loss in (("a", 0.5), ("b", 0.25)):
        with tl.init("p", id=run_id, dir=tmp_path, config={"lr": 0.1}) as run:
            run.log({"loss": loss})
    tl.open(tmp_path).refresh()
    asked = f"""
        import tracklake
        lake = tracklake.open({str(tmp_path)!r})
        lake.runs()
        assert lake.runs(order_by="summary.loss.min", limit=1)["run_id"].item() == "b"
    """
    assert loaded_by(textwrap.dedent(asked), of={"numpy", "duckdb", "pyarrow", "pandas"}) == []


def test_sql_loads_duckdb_alone(tmp_path: Path):
    """A question in SQL, from a shell or not, goes to duckdb and back without numpy, pyarrow or rich."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        run.log({"loss": 0.5})
    tl.open(tmp_path).refresh()
    asked = f"""
        import contextlib, io
        from tracklake.cli import main
        words = ["sql", 'SELECT "summary.loss.min" FROM runs', "--csv", "--dir", {str(tmp_path)!r}]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            main(words, standalone_mode=False)
        assert printed.getvalue().split() == ["summary.loss.min", "0.5"]
    """
    assert loaded_by(textwrap.dedent(asked), of={"numpy", "duckdb", "pyarrow", "pandas", "rich"}) == ["duckdb"]


def loaded_by(code: str, *, of: set[str]) -> list[str]:
    """Return which of these modules a fresh process has loaded after running the code."""
    code += f"\nimport sys; print(*sorted({of!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()
