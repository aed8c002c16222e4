"""Runs a command with the stand-in first on its path.

A folder of the user's cache holds a package `wandb` of a few lines, its metadata (`wandb-0.31.0.dist-info`), and an
executable `wandb`. It is written once for each Python, and stands first in PYTHONPATH and PATH of the command, so that
any Python it starts (torchrun, `-m`, a script) imports it. `python -I` ignores PYTHONPATH and with it the stand-in.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklake.integrations.wandb_standin.modules import VERSION
from tracklake.storage import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE = """import sys
from tracklake.integrations.wandb_standin.modules import install
install(sys.modules[__name__])
"""
_METADATA = f"""Metadata-Version: 2.1
Name: wandb
Version: {VERSION}
Summary: Stand-in of tracklake for wandb
"""
_EXECUTABLE = """#!{python}
import sys
from tracklake.integrations.wandb_standin.launcher import shell
sys.exit(shell(sys.argv[1:]))
"""


_SWEEP_CHANGES = {"--pause": "pause", "--resume": "resume", "--stop": "cancel", "--cancel": "cancel"}
"""Options of `wandb sweep` that change a sweep which is there: either way a trial that runs goes on to its end."""


def wrap(command: Sequence[str], *, lake: str | os.PathLike[str] | None = None) -> int:
    """Run a command that sees the stand-in as `wandb`, and return its exit code. Raises FileNotFoundError.

    The lake is absolute in the command's environment (TRACKLAKE_DIR), so that processes that change their folder log
    into the same one.

    >>> wrap([sys.executable, "-c", "import wandb; wandb.init(project='p').log({'loss': 0.5})"])
    0
    >>> tl.open().runs(columns=["project", "summary.loss"]).select("project", "summary.loss").rows()
    [('p', 0.5)]
    """
    return subprocess.run(list(command), env=_environment(cached_folder(), lake), check=False).returncode  # noqa: S603


def cached_folder() -> Path:
    """Return the folder of the stand-in, written if it is not there: the same one for every command of this Python.

    It lies in $XDG_CACHE_HOME/tracklake (~/.cache/tracklake), or where that cannot be written in the folder for
    temporary files.

    >>> cached_folder() == cached_folder(), cached_folder().name[:13]
    (True, 'wandb-0.31.0-')
    """
    key = hashlib.sha256(f"{sys.executable}{_PACKAGE}{_METADATA}{_EXECUTABLE}".encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tracklake")
    folder = cache / f"wandb-{VERSION}-{key}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=cache))
    except OSError:  # a home that is read-only, or none
        unfinished = folder = Path(tempfile.mkdtemp(prefix="tracklake-wandb-"))
    prepare(unfinished)
    if unfinished != folder:
        _publish(unfinished, folder)
    return folder


def _publish(unfinished: Path, folder: Path) -> None:
    """Put a folder in its place, whole; of two that come at once the first one stays."""
    try:
        unfinished.rename(folder)
    except OSError:
        shutil.rmtree(unfinished)
        if not folder.is_dir():
            raise


def prepare(folder: Path) -> None:
    """Write the package, its metadata and the executable into a folder.

    >>> prepare(Path("standin"))
    >>> sorted(path.name for path in Path("standin").iterdir())
    ['bin', 'wandb', 'wandb-0.31.0.dist-info']
    """
    info = folder / f"wandb-{VERSION}.dist-info"
    for path, text in (
        (folder / "wandb" / "__init__.py", _PACKAGE),
        (info / "METADATA", _METADATA),
        (info / "INSTALLER", "tracklake\n"),
        (folder / "bin" / "wandb", _EXECUTABLE.format(python=sys.executable)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "bin" / "wandb").chmod(0o755)


def shell(arguments: Sequence[str]) -> int:
    """Do what the command `wandb` does where that means something: `wandb agent`, `wandb sweep`; else say so.

    >>> shell(["login"])
    0
    """
    words = list(arguments)
    if words[:1] in (["agent"], ["sweep"]):
        command = [sys.executable, "-m", "tracklake.cli", *translated(words)]
        return subprocess.run(command, check=False).returncode  # noqa: S603
    text = f"wandb {' '.join(words[:1])} means nothing here: runs lie in the lake, `tracklake runs` shows them"
    print(text, file=sys.stderr)  # noqa: T201 - it is a command
    return 0


def translated(words: Sequence[str]) -> list[str]:
    """Return the command of ours for `wandb sweep` or `wandb agent`; options that only concern a server are left out.

    >>> translated(["sweep", "--project", "walk", "sweep.yaml"]), translated(["sweep", "--pause", "me/walk/abcd1234"])
    (['sweep', 'create', '--project', 'walk', 'sweep.yaml'], ['sweep', 'pause', 'me/walk/abcd1234'])
    >>> translated(["agent", "-e", "me", "-p", "walk", "--count", "3", "abcd1234"])
    ['agent', '--count', '3', 'abcd1234']
    """
    command, *arguments = words
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-e", "--entity")
    parser.add_argument("-p", "--project")
    parser.add_argument("--forward-signals", action="store_true")
    for option, change in _SWEEP_CHANGES.items():
        parser.add_argument(option, dest="change", action="store_const", const=change, default="create")
    options, remaining = parser.parse_known_args(arguments)
    if command == "agent":
        return [command, *remaining]
    project = ["--project", options.project] if options.project and options.change == "create" else []
    return [command, options.change, *project, *remaining]


def load_ipython_extension(_: Any = None) -> None:
    """Let `import wandb` give the stand-in in this notebook: `%load_ext tracklake`.

    >>> load_ipython_extension()
    >>> import wandb
    >>> wandb.__version__
    '0.31.0'
    >>> for name in [name for name in sys.modules if name.split(".")[0] == "wandb"]:
    ...     del sys.modules[name]
    >>> sys.path.pop(0) == str(cached_folder())
    True
    """
    folder = cached_folder()
    for name in [name for name in sys.modules if name.split(".")[0] == "wandb"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def _environment(folder: Path, lake: str | os.PathLike[str] | None) -> dict[str, str]:
    variables = dict(os.environ)
    ours = str(Path(__file__).parents[3])  # for a Python that has tracklake only by its path
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), variables.get("PYTHONPATH"), ours)))
    variables["PATH"] = os.pathsep.join(filter(None, (str(folder / "bin"), variables.get("PATH"))))
    variables["TRACKLAKE_DIR"] = str(layout.connect(layout.root_of(lake)).root)
    variables["WANDB_MODE"] = variables.get("WANDB_MODE") or "offline"
    return variables
