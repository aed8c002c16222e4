"""Aggregated frames as pictures.

- `accessor`: what `lake.plot` offers. Each method aggregates what the lake knows, and returns a Plot.
- `bands`: many curves as the middle and the spread of each group, over places that all of them share.
- `binning`: what a plot draws, aggregated to a few thousand marks at most, whatever was asked about.
- `curves`: metrics over steps, run by run or group by group with bands.
- `encodings`: how columns become positions and colours: the channels of Vega-Lite.
- `figure`: a plot: aggregated data, what was left out of it, and its picture as PNG, SVG, PDF or HTML, all offline.
- `marks`: aggregated frames as pictures in the language of Vega-Lite 6, in one style.
- `parallel_axes`: parallel coordinates: an upright axis a parameter, a line a run, coloured by how good it is.
- `png`: the same picture in a fraction of the bytes.
- `run_columns`: columns of the runs as pictures take them: values, titles, and groups that keep their colours.
- `scatter`: pictures of a few numbers a run: scatter, heat map, shares of runs.
- `sweep_figures`: pictures of comparisons and sweeps: leaderboard, importance, marginal, front, parallel coordinates.
- `sweep_marks`: charts of comparisons and sweeps: groups with intervals, bars, one parameter against the value, a
  front.
- `titles`: what stands beside a name along an axis: which statistic of a metric is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.plots import accessor

__all__ = ["accessor", "binning", "encodings", "figure", "marks", "titles"]
__getattr__ = late_modules.of(__name__)
