"""Messages of the library speak shell in a shell."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["compare", "loss", "--by", "lr"],
            "Say --goal min or --goal max (or once for all: tracklake define loss --goal",
        ),
        (["runs", "--where", "loss > sum(loss)"], "it looks at many rows at once; ask tracklake sql"),
        (["sql", "DELETE FROM runs"], "DELETE is refused: tracklake sql only reads"),
        (["history", "los"], "unknown metric 'los'; did you mean 'loss'?"),
    ],
)
def test_errors_name_options_and_commands(tmp_path: Path, arguments: list[str], message: str):
    """No error of a command names a call of Python."""
    with tl.init(config={"lr": 0.1}, dir=tmp_path) as run:
        run.log({"loss": 1.0})
    result = CliRunner().invoke(cli.main, [*arguments, "--dir", str(tmp_path)])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not any(word in result.stderr for word in ("lake.", "tl.", "tracklake.", "goal="))


def test_a_lake_that_is_not_there(tmp_path: Path):
    """The way out is a command."""
    result = CliRunner().invoke(cli.main, ["runs", "--dir", str(tmp_path / "none")])
    assert f"tracklake demo --dir {tmp_path / 'none'}" in " ".join(result.stderr.split())
