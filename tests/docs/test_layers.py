"""The table of packages in ARCHITECTURE.md, held against what the modules import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import imports
import pytest

import tracklake as tl

TERMINAL = {"cli", "integrations"}
"""The packages that may import at their top what only a terminal needs, or the library that a module is for."""
AT_TOP = set(sys.stdlib_module_names) | {"numpy", "polars", "tracklake"}
"""What any module may import at its top; everything else loads when it is used."""
LATE = {"__init__", "storage/layout"}
"""Modules that import their own package inside a function: the public names, and what needs the library of an extra.

Else a module that few questions need is lent by its package: `from tracklake import display`, then `display.reprs`."""


def test_the_table_names_every_package_once():
    """The table of packages and the folders hold the same packages, each once."""
    packages = {imports.package_of(module) for module in imports.FILES} | {"__init__"}
    assert sorted(imports.order()) == sorted(packages - {""})


def test_imports_point_up_the_table():
    """A package imports from itself and from packages above it in the table."""
    assert imports.backward() == []


def test_modules_have_no_cycle():
    """The modules can be read in an order in which each needs only those before it."""
    assert imports.cycle() == []


def test_no_package_is_over_a_fifth_of_the_lines():
    """A room that holds everything is no room."""
    total = sum(len(path.read_text().splitlines()) for path in imports.FILES.values())
    tops = {module.split("/")[0] for module in imports.FILES if "/" in module}
    assert {package for package in tops if imports.lines(package) > total / 5} == set()


@pytest.mark.parametrize("package", sorted(imports.FACES - {"__init__", ""}))
def test_a_package_lists_its_files(package: str):
    """The docstring of a package has one line for each of its files."""
    docstring = ast.get_docstring(ast.parse(imports.FILES[package].read_text())) or ""
    listed = re.findall(r"^- `(\w+)`: \S", docstring, re.MULTILINE)
    folder = imports.FILES[package].parent
    assert listed == sorted(p.stem for p in folder.glob("*.py") if p.stem not in ("__init__", "__main__", "conftest"))


@pytest.mark.parametrize("package", sorted(imports.FACES - {"__init__", ""}))
def test_a_face_names_what_others_use(package: str):
    """`__all__` of a package is exactly what other packages import from it: its modules, and names of its own."""
    statements = ast.parse(imports.FILES[package].read_text()).body
    (value,) = (
        statement.value
        for statement in statements
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
    )
    assert ast.literal_eval(value) == imports.face(package)


def test_no_module_bears_a_public_name():
    """`tracklake.sweep` is the public function, never a module."""
    public = {name.lower() for name in tl.__all__}
    assert {path.stem for path in imports.PACKAGE.iterdir() if path.suffix in ("", ".py")} & public <= {"lake"}


def test_own_imports_are_absolute():
    """The package imports itself by full name."""
    relative = {m: [i for i in imports.imports(m) if getattr(i.statement, "level", 0)] for m in imports.FILES}
    assert [module for module, statements in relative.items() if statements] == []


def test_own_imports_are_at_the_top():
    """The package imports itself inside a function only in its lazy faces."""
    late = {m for m in imports.FILES for i in imports.imports(m) if i.in_function and imports.own(i.statement)}
    assert late - LATE == set()


def test_engines_are_imported_where_they_are_used():
    """At the top of a module stand the standard library, numpy and polars; engines load inside the function."""
    at_top = {
        (module, root)
        for module in imports.FILES
        if module.split("/")[0] not in TERMINAL
        for i in imports.imports(module)
        if not i.in_function and not i.for_types
        for root in imports.roots(i.statement)
    }
    assert {(module, root) for module, root in at_top if root not in AT_TOP} == set()


def test_importing_tracklake_loads_no_engine():
    """`import tracklake` is light: no numpy, duckdb, pyarrow, pandas, click or rich, no statistics, no plots."""
    heavy = {"numpy", "duckdb", "pyarrow", "sklearn", "pandas", "deltalake", "click", "rich", "argparse"}
    heavy |= {
        "multiprocessing",
        "tracklake.analysis.sweep",
        "tracklake.analysis.comparison",
        "tracklake.plots.accessor",
    }
    assert loaded_by("import tracklake", of=heavy) == []


def test_a_table_of_runs_loads_no_engine(tmp_path: Path):
    """Polars alone answers a table of sealed runs, who is best, and the history of one run and of one metric."""
    for run_id, loss in (("a", 0.5), ("b", 0.25)):
        with tl.init("p", id=run_id, dir=tmp_path, config={"lr": 0.1}) as run:
            run.log({"loss": loss})
    tl.open(tmp_path).refresh()
    asked = f"""
        import tracklake
        lake = tracklake.open({str(tmp_path)!r})
        lake.runs()
        assert lake.runs(order_by="summary.loss.min", limit=1)["run_id"].item() == "b"
        assert lake.run("b").history()["loss"].item() == 0.25
        assert lake.history("loss").height == 2
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


def test_a_reader_loads_nothing_of_the_writing_side(tmp_path: Path):
    """A lake is opened and asked without what W&B's names and a run that is written need."""
    tl.init("p", id="a", dir=tmp_path).finish()
    asked = f"import tracklake; tracklake.open({str(tmp_path)!r}).runs()"
    assert loaded_by(asked, of={"tracklake.integrations.wandb_standin.names", "tracklake.tracking.run"}) == []
