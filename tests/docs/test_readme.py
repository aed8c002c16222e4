"""README.md is under test: what it shows runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCK = re.compile(
    r"(?P<mark><!-- not run: [^\n]+ -->\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def blocks(*languages: str) -> list[str]:
    """Return the blocks of these languages in order, without those marked `<!-- not run: reason -->`."""
    return [b["text"] for b in BLOCK.finditer(README) if b["language"] in languages and not b["mark"]]


def test_first_block_is_the_two_commands():
    """A new user needs two commands: the demo and the tests."""
    assert blocks("sh", "python")[0].splitlines() == [
        "python -m venv .venv && .venv/bin/pip install -e '.[demo]' && .venv/bin/tracklake demo",
        ".venv/bin/pip install -e '.[dev]' && .venv/bin/pytest",
    ]


def test_blocks_run_as_written(tmp_path: Path):
    """The Python blocks run from top to bottom in one program, and then each `tracklake` command works."""
    program = tmp_path / "readme.py"
    program.write_text("\n".join(blocks("python")))
    bin_first = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    commands = [b for b in blocks("sh") if b.startswith("tracklake ")]
    for command in [f"python {program.name}", *commands]:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path, env={**os.environ, "PATH": bin_first}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
