"""The write-ahead log of one session of one run: frames, files, reader, writer, statements.

- `clock`: the hybrid logical clock that stamps every statement.
- `file_names`: journal files: how they are named, and whether the process that writes one is alive.
- `frame_format`: the frame: the unit of a journal file, and the one place that packs frames and takes them apart.
- `host`: the machine, as far as the life of its processes is concerned.
- `open_file`: one journal file, open for appending: the only owner of its descriptor.
- `pending_frames`: frames in memory: those that a full disk did not take, or that a buffer gathers.
- `reader`: the reading side of a journal file: its records beyond an offset, and what in it is damaged.
- `row_decoding`: decoding of rows: the records of journals as the long frame of points.
- `statements`: the records of sessions other than rows, as two flat frames: one row a journal file, and one row a
  statement.
- `upload`: the journal files of a local spool, mirrored to an object store while they grow.
- `writer`: the journal: the append-only log of one session of one run, written by that process and nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.storage.journal import reader

__all__ = [
    "clock",
    "file_names",
    "frame_format",
    "host",
    "open_file",
    "reader",
    "row_decoding",
    "statements",
    "upload",
    "writer",
]
__getattr__ = late_modules.of(__name__)
