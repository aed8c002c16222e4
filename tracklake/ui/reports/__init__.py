"""Reports: Markdown that quotes a lake, as one HTML file that needs nothing else.

- `blocks`: fenced blocks that ask: sql, query, plot, compare.
- `calls`: `name("a", by="b")` read as a name with plain values, never run.
- `front_matter`: what stands between two lines of `---` at the head of a report.
- `markup`: Markdown to HTML, with references and blocks put in as text.
- `pdf`: a report printed by a browser of this machine.
- `references`: `${run:summary.acc.max|.3f}`: a value of a run.
- `report`: a report as it is written, resolved against a lake.
- `style`: how a report looks, on a screen, in the dark and on paper.
"""

from __future__ import annotations

from tracklake.ui.reports.report import Report, render

__all__ = ["Report", "blocks", "calls", "render"]
