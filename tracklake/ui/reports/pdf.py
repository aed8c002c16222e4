"""PDF: a report printed by a browser of this machine, without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tracklake.errors import ReportError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_SECONDS = 120
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
)


def browser() -> str | None:
    """Return the path of a browser that can print, None if there is none.

    >>> browser() is None or Path(browser()).is_absolute()
    True
    """
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def write(html: str, path: Path) -> Path:
    """Print a report, as HTML, to a PDF; ReportError where there is no browser, or where it fails.

    >>> from tracklake.ui.reports import render
    >>> html = render(example(), "# Hello").html
    >>> browser() is None or write(html, Path("report.pdf")).read_bytes()[:5] == b"%PDF-"
    True
    """
    program = browser()
    if program is None:
        raise ReportError(f"a PDF is printed by a browser, and there is none of {', '.join(BROWSERS)} on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(html, encoding="utf-8")
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        flags = [*_FLAGS, *(["--no-sandbox"] if is_root else []), f"--user-data-dir={folder}/profile"]
        command = [program, *flags, f"--print-to-pdf={path.resolve()}", page.as_uri()]
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - a browser, no shell
    if done.returncode or not path.is_file():
        raise ReportError(f"{program} did not print the report: {done.stderr.decode(errors='replace')[-300:]}")
    return path
