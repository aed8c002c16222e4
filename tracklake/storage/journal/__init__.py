"""The write-ahead log of one session of one run: frames, files, reader, writer, statements.

- `clock`: the hybrid logical clock that stamps every statement.
- `file_names`: journal files: how they are named, and whether the process that writes one is alive.
- `frame_format`: the frame: the unit of a journal file, and how one is packed and recognised.
- `host`: the machine, as far as the life of its processes is concerned.
- `reader`: the reading side of a journal file: what it says beyond a given offset, and what in it is damaged.
- `row_decoding`: from rows to points: what a journal's tail says, as the long frame.
- `statements`: what sessions say other than rows, as two flat frames: one row a journal file, and one row a
  statement.
- `writer`: the journal: the append-only log of what one session of one run says, written by that process and nobody
  else.
"""

from __future__ import annotations
