"""What files of other tools hold: records, cells, tables, and the binary forms; knows no lake.

- `records`: what an importer yields: run records, batches of their points, and remarks on what was read.
"""

from __future__ import annotations
