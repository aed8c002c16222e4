"""README.md is under test: what it shows runs, and prints what it shows."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
END = "--- end of a block ---"


def blocks(*languages: str) -> list[str]:
    return [block["text"] for block in BLOCK.finditer(README.read_text()) if block["language"] in languages]


def expected_outputs() -> dict[int, str]:
    """Return what the README shows right below a Python block, by the number of that block."""
    found = list(BLOCK.finditer(README.read_text()))
    python = [block for block in found if block["language"] == "python"]
    below = {block: follower for block, follower in itertools.pairwise(found) if is_output(block, follower)}
    return {python.index(block): follower["text"] for block, follower in below.items()}


def is_output(block: re.Match[str], follower: re.Match[str]) -> bool:
    between = block.string[block.end() : follower.start()]
    return block["language"] == "python" and follower["language"] == "text" and not between.strip()


def test_first_block_is_the_two_commands():
    """A new user needs two commands: the demo and the tests."""
    assert blocks("sh", "python")[0].splitlines() == [
        "python -m venv .venv && .venv/bin/pip install -e '.[demo]' && .venv/bin/tracklake demo",
        ".venv/bin/pip install -e '.[dev]' && .venv/bin/pytest",
    ]


def test_blocks_run_and_print_what_is_shown(tmp_path: Path):
    """The Python blocks run from top to bottom in one program, and each prints the text that stands below it."""
    program = tmp_path / "readme.py"
    program.write_text("\n".join(f"{block}\nprint({END!r})" for block in blocks("python")))
    printed = shell(f"python {program.name}", tmp_path).split(f"{END}\n")
    for number, text in expected_outputs().items():
        assert printed[number] == text
    for command in blocks("sh"):
        if command.startswith("tracklake "):
            shell(command, tmp_path)


def shell(command: str, folder: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


if __name__ == "__main__":  # prints each block's output, to be pasted
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "readme.py")
        program.write_text("\n".join(f"{block}\nprint({END!r})" for block in blocks("python")))
        print(shell("python readme.py", Path(folder)))
