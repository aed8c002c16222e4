"""Numbers and tables as a person reads them: text, Markdown, LaTeX, HTML.

- `labels`: names, values, counts and times as a person reads them, in pictures and in notebooks.
- `numbers`: as many decimals as mean something, and p values as they are written.
- `reprs`: display: what a lake and a run look like in a notebook (small HTML, no network), and as text in 80 columns.
- `tables`: tables to look at and to paste: plain text of a given width, Markdown, LaTeX, HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.display import labels, reprs

__all__ = ["labels", "numbers", "reprs", "tables"]
__getattr__ = late_modules.of(__name__)
