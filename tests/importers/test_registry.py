"""Formats: the modules of a folder, and those that other packages offer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tracklake.importers import formats, registry

MODULE = '''
"""Somebody's own format."""
import polars as pl
from tracklake.importers.readers import records

PRIORITY = 5

def recognise(folder, names):
    for name in names:
        if name.endswith(".own"):
            yield records.Source("own", folder / name)

def read(source, options):
    record = records.RunRecord("own:1", run_id="own-1", project="theirs", start=1_700_000_000_000_000)
    yield record
    yield records.Points(record, records.columns({"x": pl.Series([0.5])}, step=pl.Series([1])))
'''


def test_the_folder_is_the_list_of_formats():
    """Every module of the folder is a format, asked in the order of priorities."""
    files = {path.stem for path in Path(formats.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(registry.load()) >= files
    priorities = [one.PRIORITY for one in registry.load().values()]
    assert priorities == sorted(priorities)


def test_another_package_offers_a_format(tmp_path):
    """An entry point of another package is a format like any other, on the command line too."""
    (tmp_path / "own_format.py").write_text(MODULE)
    about = tmp_path / "own_format-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-format\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[tracklake.importers]\nown = own_format\n")
    (tmp_path / "a.own").write_text("x")
    root = Path(registry.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(tmp_path)])}
    command = [sys.executable, "-m", "tracklake.cli", "import", "a.own"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 run with 1 point came in; projects: 'theirs' (1)"
