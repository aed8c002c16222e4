"""Pictures: arrays, tensors, PIL images, matplotlib figures and files, with boxes and masks."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from tracklake.common.lazy_numpy import np
from tracklake.errors import UnstorableValueError
from tracklake.schema.arrays import as_numpy
from tracklake.tracking.artifacts.media import png
from tracklake.tracking.artifacts.media.content import save_bytes
from tracklake.tracking.artifacts.media.media import FileMedia, existing_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from tracklake.storage.backend import Storage

_ACCEPTED = "accepted are a path, an array, a tensor, a PIL image and a matplotlib figure"


class Image(FileMedia):
    """A picture with an optional caption, boxes and masks.

    Takes a path; an array (height, width) or (height, width, channels) with 1 to 4 channels; a torch tensor (channels,
    height, width); a PIL image; a matplotlib figure. Floats from 0 to 1 are scaled to 0 to 255, those from -1 to 1 as
    well; anything else is clipped, unless `normalize=False`, which only clips. `boxes` and `masks` are W&B's dicts by
    name; they are stored beside the picture. `mode` is for PIL; `grouping` is accepted and means nothing. Raises
    UnstorableValueError.

    >>> import numpy as np
    >>> Image(np.zeros((4, 6)), caption="blank").about()
    {'format': 'png', 'width': 6, 'height': 4, 'caption': 'blank'}
    """

    type_name = "image-file"

    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,  # noqa: ARG002 - as W&B
        classes: Any = None,
        boxes: Mapping[str, Mapping[str, Any]] | None = None,
        masks: Mapping[str, Mapping[str, Any]] | None = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        self.format = file_type or "png"
        self.width: int | None = None
        self.height: int | None = None
        self.caption = caption
        self.boxes, self.masks, self.classes = boxes or {}, masks or {}, classes
        path = existing_path(data_or_path)
        if path is not None:
            self.format = path.suffix.lstrip(".") or self.format
        elif isinstance(data_or_path, str):
            raise UnstorableValueError(f"there is no picture {data_or_path!r}; {_ACCEPTED}")
        data = self._encoded(data_or_path, mode=mode, normalize=normalize) if path is None else b""
        super().__init__(path or data, suffix=f".{self.format}")

    def about(self) -> dict[str, Any]:
        """Return its format, size in pixels where known, and caption.

        >>> Image([[0, 255]]).about()
        {'format': 'png', 'width': 2, 'height': 1}
        """
        facts = {"format": self.format, "width": self.width, "height": self.height, "caption": self.caption}
        return {key: value for key, value in facts.items() if value is not None}

    def to_entry(self, lake: Storage) -> dict[str, Any]:
        """Write picture, boxes and masks into the lake and return the entry.

        >>> lake = tl.open("lake", create=True)._storage
        >>> box = {"position": {"minX": 0, "maxX": 1, "minY": 0, "maxY": 1}, "class_id": 1}
        >>> sorted(Image([[0, 1]], boxes={"predictions": {"box_data": [box]}}).to_entry(lake)["boxes"])
        ['predictions']
        """
        entry = super().to_entry(lake)
        if self.boxes:
            entry["boxes"] = {name: _json_file(boxes, lake) for name, boxes in self.boxes.items()}
        if self.masks:
            entry["masks"] = {name: _mask_file(mask, lake) for name, mask in self.masks.items()}
        return entry

    def _encoded(self, picture: Any, *, mode: str | None, normalize: bool) -> bytes:
        if hasattr(picture, "savefig") or hasattr(picture, "gcf"):
            figure = picture.gcf() if hasattr(picture, "gcf") else picture
            return _buffered(lambda file: figure.savefig(file, format=self.format))
        if type(picture).__module__.startswith("PIL."):
            self.width, self.height = picture.size
            converted = picture if mode is None else picture.convert(mode)
            return _buffered(lambda file: converted.save(file, format=_pil_format(self.format)))
        pixels = _pixels(picture, normalize=normalize)
        self.height, self.width = pixels.shape[:2]
        if self.format == "png":
            return png.encode(pixels)
        from PIL import Image as pillow  # noqa: N813 - the class has our name

        converted = pillow.fromarray(pixels.squeeze())
        return _buffered(lambda file: converted.save(file, format=_pil_format(self.format)))


def _buffered(write: Any) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _pil_format(suffix: str) -> str:
    return {"jpg": "jpeg"}.get(suffix.lower(), suffix.lower())


def _pixels(picture: Any, *, normalize: bool) -> npt.NDArray[Any]:
    """Return an array (height, width, channels) of uint8."""
    array = as_numpy(picture) if not isinstance(picture, list | tuple) else np.asarray(picture)
    if array is None or array.dtype.kind not in "buif":
        raise UnstorableValueError(f"a {type(picture).__name__} is no picture; {_ACCEPTED}")
    if type(picture).__module__.startswith("torch") and array.ndim == 3:  # noqa: PLR2004 - channels, height, width
        array = array.transpose(1, 2, 0)
    shaped = array[:, :, None] if array.ndim == 2 else array  # noqa: PLR2004
    if shaped.ndim != 3 or not 1 <= shaped.shape[2] <= 4:  # noqa: PLR2004
        raise UnstorableValueError(
            f"an array of shape {array.shape} is no picture; give (height, width) or (height, width, 1 to 4 channels)"
        )
    return np.ascontiguousarray(_as_bytes(shaped, normalize=normalize))


def _as_bytes(array: npt.NDArray[Any], *, normalize: bool) -> npt.NDArray[Any]:
    """Return intensities as uint8: those from 0 to 1 and from -1 to 1 scaled, others clipped to 0 to 255."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    wide = np.nan_to_num(array.astype(np.float64))
    if normalize and array.dtype.kind == "f" and wide.size:
        low, high = wide.min(), wide.max()
        if low >= -1 and high <= 1:
            wide = wide * 255 if low >= 0 else (wide + 1) * 127.5
    return np.clip(wide, 0, 255).round().astype(np.uint8)


def _json_file(value: object, lake: Storage) -> dict[str, object]:
    text = json.dumps(value, default=lambda item: getattr(item, "tolist", lambda: str(item))())
    return save_bytes(text.encode(), lake=lake, suffix=".json").to_json()


def _mask_file(mask: Mapping[str, Any], lake: Storage) -> dict[str, object]:
    """Store a mask: its class ids as a grey picture, and what its classes are called."""
    path = existing_path(mask.get("path"))
    data = path.read_bytes() if path else png.encode(_pixels(mask["mask_data"], normalize=False))
    labels = {str(key): label for key, label in dict(mask.get("class_labels") or {}).items()}
    return {**save_bytes(data, lake=lake, suffix=".mask.png").to_json(), "class_labels": labels}
