"""Audio and video: arrays and files."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

from tracklake.common.lazy_numpy import np
from tracklake.errors import UnstorableValueError
from tracklake.schema.arrays import as_numpy
from tracklake.tracking.artifacts.media.media import FileMedia, existing_path


class Audio(FileMedia):
    """A sound: a path, or an array (samples,) or (samples, channels) of floats from -1 to 1 with its rate in Hz.

    An array is stored as WAV with 16 bits a sample. Raises UnstorableValueError.

    >>> import numpy as np
    >>> Audio(np.zeros(800), sample_rate=8000, caption="silence").about()
    {'caption': 'silence', 'duration': 0.1, 'sample_rate': 8000}
    """

    type_name = "audio-file"

    def __init__(self, data_or_path: Any, sample_rate: int | None = None, caption: str | None = None) -> None:
        self.sample_rate, self.caption = sample_rate, caption
        self.duration: float | None = None
        path = existing_path(data_or_path)
        super().__init__(path or self._wav(data_or_path), suffix=".wav")

    def about(self) -> dict[str, Any]:
        """Return its caption, duration in seconds and sample rate in Hz, where known.

        >>> Audio([0.0, 0.5], sample_rate=2).about()
        {'duration': 1.0, 'sample_rate': 2}
        """
        facts = {"caption": self.caption, "duration": self.duration, "sample_rate": self.sample_rate}
        return {key: value for key, value in facts.items() if value is not None}

    def _wav(self, samples: Any) -> bytes:
        array = np.asarray(samples) if isinstance(samples, list | tuple) else as_numpy(samples)
        if array is None or array.ndim not in (1, 2) or array.dtype.kind not in "if":
            raise UnstorableValueError(
                f"{samples!r:.80} is no sound; give a path, or an array (samples,) or (samples, channels)"
            )
        if self.sample_rate is None:
            raise UnstorableValueError("an array of samples needs its rate: Audio(array, sample_rate=16000)")
        scaled = array if array.dtype.kind == "i" else np.clip(array, -1, 1) * 32767
        self.duration = len(array) / self.sample_rate
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(array.shape[1] if array.ndim == 2 else 1)  # noqa: PLR2004
            file.setsampwidth(2)
            file.setframerate(self.sample_rate)
            file.writeframes(scaled.astype("<i2").tobytes())
        return buffer.getvalue()


class Video(FileMedia):
    """A film: a path, bytes, or an array (time, channels, height, width) of uint8, with its `fps`.

    An array is stored as GIF, which needs Pillow; give the path of a file for other formats. Raises
    UnstorableValueError.

    >>> Video(b"GIF89a", format="gif", caption="walk").about()
    {'format': 'gif', 'caption': 'walk'}
    """

    type_name = "video-file"

    def __init__(
        self,
        data_or_path: Any,
        caption: str | None = None,
        fps: int | None = None,
        format: str | None = None,  # noqa: A002
    ) -> None:
        self.caption = caption
        path = existing_path(data_or_path)
        if path is None and isinstance(data_or_path, str):
            raise UnstorableValueError(f"there is no film {data_or_path!r}; give the path of a file that is there")
        self.format = path.suffix.lstrip(".") if isinstance(path, Path) else format or "gif"
        super().__init__(path or _film(data_or_path, fps=fps or 4), suffix=f".{self.format}")

    def about(self) -> dict[str, Any]:
        """Return its format and caption.

        >>> Video(b"GIF89a").about()
        {'format': 'gif'}
        """
        return {"format": self.format} | ({"caption": self.caption} if self.caption else {})


def _film(data: Any, *, fps: int) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, io.BytesIO):
        return data.getvalue()
    frames = as_numpy(data)
    if frames is None or frames.ndim not in (4, 5):
        raise UnstorableValueError(
            f"a {type(data).__name__} is no film; give a path, bytes, or an array (time, channels, height, width)"
        )
    try:
        from PIL import Image as pillow  # noqa: N813 - a class of that name is ours
    except ImportError:
        raise UnstorableValueError(
            "an array of frames is stored as GIF by Pillow, which is not installed: pip install pillow, or give a path"
        ) from None
    flat = frames.reshape(-1, *frames.shape[-3:]).astype(np.uint8).transpose(0, 2, 3, 1)
    first, *others = [pillow.fromarray(frame.squeeze()) for frame in flat]
    buffer = io.BytesIO()
    first.save(buffer, format="gif", save_all=True, append_images=others, duration=1000 // fps, loop=0)
    return buffer.getvalue()
