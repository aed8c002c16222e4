"""Print the test files of which a JUnit report says that tests were skipped, but for those that only --long runs.

`python .ci/skipped_files.py REPORT.xml`: what an environment with more libraries has to run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from always_skipped import LONG, skipped


def files(report: Path) -> list[str]:
    """Return the files, sorted; a skipped module is its own file."""
    names = {name for name, reason in skipped(report).items() if LONG not in reason}
    return sorted({path for name in names if (path := _file_of(name))})


def _file_of(name: str) -> str | None:
    """Return the file of a test's dotted name, which may end in a class."""
    module, _, test = name.partition("::")
    parts = (module or test).split(".")
    candidates = (Path(*parts[:end]).with_suffix(".py") for end in range(len(parts), 0, -1))
    return next((str(path) for path in candidates if path.is_file()), None)


if __name__ == "__main__":
    print(*files(Path(sys.argv[1])))
