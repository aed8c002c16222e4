"""One row as `log` was given it, checked: nothing in it can be refused any more."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import TYPE_CHECKING, Any

from tracklake.schema import naming

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.schema.values import Stored

INT64 = range(-(1 << 63), 1 << 63)
_DISCARDED = ("_step", "_runtime")


class CheckedRow:
    """A row: its flat names, the stored forms of its values, and where it belongs.

    Called, it is written, once, however often it is called: so it can be deferred.
    """

    __slots__ = ("_write", "commit", "flat", "is_written", "keys", "step", "types", "values")

    def __init__(self, data: object, step: object, *, commit: bool | None, write: Callable[[CheckedRow], None]) -> None:
        """TypeError for what is no mapping, a key that is no string, a step that is no int."""
        if not isinstance(data, Mapping):
            msg = f"log takes a mapping of names to values, not {type(data).__name__}: run.log({{'loss': 0.5}})"
            raise TypeError(msg)
        self.step = checked_step(step)
        self.commit = step is None if commit is None else bool(commit)
        items = {naming.encodable(name): value for name, value in naming.flatten(data).items()}
        self.flat: dict[str, Any] = {name: value for name, value in items.items() if name not in _DISCARDED}
        """The values by their full names."""
        self.values: dict[str, Stored] = {}
        """Their stored forms, without those that have none."""
        is_plain = type(data) is dict and len(data) == len(self.flat)
        self.keys: list[str] = [*data] if is_plain else []
        """The keys as they were given, empty where they are not the full names."""
        self.types = [*map(type, data.values())] if is_plain else []
        self.is_written = False
        self._write = write

    def __call__(self) -> None:
        """Write the row, if it is not written."""
        if not self.is_written:
            self._write(self)


def checked_step(step: object, name: str = "step") -> int | None:
    """Return a step as an int; numpy ints pass. TypeError for bool, float and str, ValueError beyond 64 bits.

    >>> checked_step(3), checked_step(None)
    (3, None)
    >>> checked_step(1.0)
    Traceback (most recent call last):
    TypeError: step must be an int, not float 1.0
    """
    if step is None:
        return None
    if isinstance(step, bool) or type(step).__name__ in ("bool", "bool_"):  # older numpy lets its bools be an index
        msg = f"{name} must be an int, not {step!r}"
        raise TypeError(msg)
    try:
        number = index(step)  # type: ignore[arg-type] # that is what is checked here
    except TypeError:
        msg = f"{name} must be an int, not {type(step).__name__} {step!r}"
        raise TypeError(msg) from None
    if number not in INT64:
        msg = f"{name} {number} is beyond the range of a 64-bit integer"
        raise ValueError(msg)
    return number
