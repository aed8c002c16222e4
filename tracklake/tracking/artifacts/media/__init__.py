"""Values of many bytes: pictures, tables, sound and documents, kept as files by content.

A media value that is logged or set in a summary becomes a JSON entry with `_type`, `path`, `sha256` and `size`; its
bytes lie in the lake under `files/`, named by their SHA-256, so that the same picture is stored once.

- `charts`: charts of W&B's `plot`: a table, and which of its columns are drawn how.
- `content`: files by content: each is written once, under the SHA-256 of its bytes.
- `documents`: HTML, molecules, point clouds, plotly figures and graphs of layers.
- `image`: pictures: arrays, tensors, PIL images, matplotlib figures and files, with boxes and masks.
- `media`: what all media values share, and which logged values are media.
- `png`: arrays of bytes as PNG files, written without a library.
- `recognition`: which logged values are media: our own, and figures and pictures of matplotlib, plotly and PIL.
- `sound`: audio and video: arrays and files.
- `tables`: tables of mixed cells, media among them.
"""

from __future__ import annotations

__all__ = ["charts", "content", "documents", "image", "media", "recognition", "sound", "tables"]
