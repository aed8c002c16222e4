"""The runs table as code: the Python, the SQL and the shell command that give the very rows that the table shows."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from tracklake.ui.conditions import literal, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.ui.run_rows import Question

_UNQUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b((?:config|summary|quality)(?:\.\w+)+)""")
"""As in `where=`: the dotted names that need no quotes there, and do in SQL."""


def python(directory: str, question: Question, columns: Sequence[str]) -> str:
    """Return the call of `lake.runs`.

    >>> from tracklake.ui.run_rows import Question
    >>> print(python("lake", Question(where="config.lr > 0.05"), ["name", "config.lr"]))
    import tracklake as tl
    <BLANKLINE>
    lake = tl.open('lake')
    rows = lake.runs(
        where='config.lr > 0.05',
        columns=['run_id', 'name', 'config.lr'],
    )
    """
    arguments = question.arguments() | {"columns": _with_id(columns)}
    lines = [f"    {name}={value!r}," for name, value in arguments.items()]
    return "\n".join(["import tracklake as tl", "", f"lake = tl.open({directory!r})", "rows = lake.runs(", *lines, ")"])


def sql(question: Question, columns: Sequence[str], *, descending: Sequence[bool]) -> str:
    """Return the statement for `lake.sql`; equal rows stand in the order of `lake.runs`, the oldest run first.

    >>> from tracklake.ui.run_rows import Question
    >>> print(sql(Question(where="config.lr > 0.05", order_by=("-name",)), ["name"], descending=[True]))
    SELECT "run_id", "name"
    FROM runs
    WHERE "config.lr" > 0.05
    ORDER BY "name" DESC NULLS LAST, created_at, run_id
    """
    conditions = [] if question.project is None else [f"project = {literal(question.project)}"]
    conditions += [question.where] if question.where else []
    where = " AND ".join(f"({c})" for c in conditions) if len(conditions) > 1 else "".join(conditions)
    order = [
        f"{name_of(_bare(name))}{' DESC' if is_descending else ''} NULLS LAST"
        for name, is_descending in zip(question.order_by, descending, strict=True)
    ]
    head = f"SELECT {', '.join(map(name_of, _with_id(columns)))}\nFROM runs{where_clause(where)}"
    return f"{head}\nORDER BY {', '.join([*order, 'created_at', 'run_id'])}"


def where_clause(where: str | None) -> str:
    """Return the line that filters by the text of `where=`, in which names with dots need no quotes; nothing for none.

    >>> print(where_clause("config.lr > 0.05 AND name = 'config.lr'"))
    <BLANKLINE>
    WHERE "config.lr" > 0.05 AND name = 'config.lr'
    """
    if not where:
        return ""
    return "\nWHERE " + _UNQUOTED.sub(lambda match: f'"{match[1]}"' if match[1] else match[0], where)


def shell(directory: str, question: Question, columns: Sequence[str], *, statement: str) -> str:
    """Return the command; by SQL where a name has a comma, which separates names in a shell.

    >>> from tracklake.ui.run_rows import Question
    >>> shell("lake", Question(where="config.lr > 0.05"), ["name"], statement="")
    "tracklake runs --dir lake --where 'config.lr > 0.05' --columns run_id,name --order-by created_at --csv"
    """
    names = _with_id(columns)
    if len(question.order_by) > 1 or any("," in name for name in (*names, *question.order_by)):
        return f"tracklake sql --dir {shlex.quote(directory)} {shlex.quote(statement)} --csv"
    words = ["tracklake", "runs", "--dir", directory]
    words += ["--project", question.project] if question.project else []
    words += ["--where", question.where] if question.where else []
    words += ["--columns", ",".join(names)]
    order = question.order_by[0] if question.order_by else "created_at"
    words += [f"--order-by={order}"] if order.startswith("-") else ["--order-by", order]
    return " ".join(map(shlex.quote, [*words, "--csv"]))


def _with_id(columns: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(["run_id", *columns]))


def _bare(name: str) -> str:
    return name[1:] if name[:1] in "+-" else name
