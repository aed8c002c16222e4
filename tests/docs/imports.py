"""The graph of imports of tracklake, read from its files. `python tests/docs/imports.py` prints its figures."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tracklake"
FILES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name not in ("conftest.py", "__main__.py")
}
"""Module name, with slashes, to its file; a package is the module of its face."""
FACES = {name for name, path in FILES.items() if path.name == "__init__.py"}


class Import(NamedTuple):
    """One import statement of a module."""

    statement: ast.Import | ast.ImportFrom
    in_function: bool
    for_types: bool
    """Only a type checker sees it."""


def order() -> list[str]:
    """Return the packages in the order of the table of ARCHITECTURE.md, each importing only from those above it."""
    text = (PACKAGE / "ARCHITECTURE.md").read_text()
    section = text.split("\n## Packages\n", 1)[1].split("\n## ", 1)[0]
    return [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]


def package_of(module: str) -> str:
    """Return the package that a module lies in; modules of the top folder are each one of their own."""
    return module if module in FACES else module.rpartition("/")[0] or module


@functools.cache
def imports(module: str) -> tuple[Import, ...]:
    return tuple(_below(ast.parse(FILES[module].read_text())))


def _below(node: ast.AST, *, in_function: bool = False, for_types: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield Import(child, in_function, for_types)
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from _below(child, in_function=in_function or function, for_types=for_types or types)


def roots(statement: ast.Import | ast.ImportFrom) -> set[str]:
    """Return the top-level names that a statement imports from."""
    if isinstance(statement, ast.Import):
        return {alias.name.split(".")[0] for alias in statement.names}
    return {"." * statement.level + (statement.module or "").split(".")[0]}


def own(statement: ast.Import | ast.ImportFrom) -> set[str]:
    """Return the modules of tracklake that a statement imports; `from tracklake.sql import views` names sql/views."""
    return {_module(name) for name in dotted(statement) if name.split(".")[0] == "tracklake"}


def dotted(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the full names that a statement imports."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    return [f"{statement.module}.{alias.name}" for alias in statement.names]


def _module(dotted: str) -> str:
    path = "/".join(dotted.split(".")[1:])
    while path and path not in FILES:
        path = path.rpartition("/")[0]
    return path or "__init__"


def edges() -> Counter[tuple[str, str]]:
    """Count the imports from one package to another."""
    pairs = (
        (package_of(module), package_of(other))
        for module in FILES
        for found in imports(module)
        for other in own(found.statement)
    )
    return Counter((here, there) for here, there in pairs if here != there)


def face(package: str) -> list[str]:
    """Return what is used of a package outside of it, by others and as a command: its modules and its own names."""
    prefix = f"tracklake.{package.replace('/', '.')}"
    commands = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].values()
    outside = [module for module in FILES if package_of(module) != package]
    used = {name.removeprefix(f"{prefix}.").split(".")[0] for module in outside for name in dotted_names(module)
            if name.startswith(f"{prefix}.")}  # fmt: skip
    used |= {name for place, name in (command.split(":") for command in commands) if place == prefix}
    return sorted(used - {child.rpartition("/")[2] for child in FACES if child.rpartition("/")[0] == package})


@functools.cache
def dotted_names(module: str) -> frozenset[str]:
    """Return the full names that a module imports, or names in a string to be imported when they are used."""
    tree = ast.parse(FILES[module].read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    late = {match for text in texts for match in re.findall(r"tracklake(?:\.\w+)+", text)}
    late = {name for name in late if _module(name) not in FACES}
    return frozenset(late | _imported(module) | lent(module))


@functools.cache
def lent(module: str) -> frozenset[str]:
    """Return the full names that a module takes of packages as attributes, such as `display.reprs`."""
    packages = {
        name.rpartition(".")[2]: name
        for name in _imported(module)
        if name.startswith("tracklake.") and _module(name) in FACES
    }
    attributes = [
        node
        for node in ast.walk(ast.parse(FILES[module].read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    return frozenset(f"{packages[n.value.id]}.{n.attr}" for n in attributes if n.value.id in packages)  # type: ignore[attr-defined]


def _imported(module: str) -> set[str]:
    return {name for statement in imports(module) for name in dotted(statement.statement)}


def lines(package: str) -> int:
    """Count the lines of a package with its subpackages."""
    inside = [path for name, path in FILES.items() if name == package or name.startswith(f"{package}/")]
    return sum(len(path.read_text().splitlines()) for path in inside)


def cycle() -> list[str]:
    """Return the modules of a cycle of imports, lent ones among them; empty where there is none."""
    needs = {
        module: (
            {other for statement in imports(module) for other in own(statement.statement)}
            | {_module(name) for name in lent(module)}
        )
        - {module}
        for module in FILES
        if module not in FACES
    }
    try:
        list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def backward() -> list[tuple[str, str]]:
    """Return the edges that point down the table."""
    rank = {package: place for place, package in enumerate(order())}
    return [(here, there) for here, there in edges() if rank[there] > rank[here]]


if __name__ == "__main__":
    tops = sorted({module.split("/")[0] for module in FILES if "/" in module})
    total = sum(len(path.read_text().splitlines()) for path in FILES.values())
    largest = max(tops, key=lines)
    print(f"{len(tops)} packages of {len(FILES)} modules, {total:,} lines; {len(edges())} edges between packages")
    print(f"backward edges: {len(backward())}; cycles: {1 if cycle() else 0}")
    print(f"largest: {largest}, {lines(largest) / total:.1%} of the lines")
