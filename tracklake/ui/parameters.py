"""Parameters: what an address asks for, read with its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Parameters:
    """The parameters of an address; a name may stand there several times.

    >>> parameters = Parameters([("order", "name"), ("order", "-config.lr"), ("limit", "10")])
    >>> parameters.texts("order"), parameters.integer("limit", default=50), parameters.text("where")
    (['name', '-config.lr'], 10, None)
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = list(pairs)

    def texts(self, name: str) -> list[str]:
        """Return all values of this name, without empty ones.

        >>> Parameters([("col", "name"), ("col", "")]).texts("col")
        ['name']
        """
        return [value for key, value in self._pairs if key == name and value]

    def text(self, name: str) -> str | None:
        """Return the last value of this name; None if it is absent or empty.

        >>> Parameters([("x", "step")]).text("x")
        'step'
        """
        return next(reversed(self.texts(name)), None)

    def beginning(self, prefix: str) -> dict[str, str]:
        """Return the parameters whose names begin so, by what follows.

        >>> Parameters([("p.metric", "acc")]).beginning("p.")
        {'metric': 'acc'}
        """
        return {name.removeprefix(prefix): value for name, value in self._pairs if name.startswith(prefix)}

    def __repr__(self) -> str:
        return repr(self._pairs)

    def needed(self, name: str) -> str:
        """Return the value of this name, or raise QueryError.

        >>> Parameters([]).needed("metric")
        Traceback (most recent call last):
        tracklake.errors.QueryError: the address lacks metric=...
        """
        value = self.text(name)
        if value is None:
            raise QueryError(f"the address lacks {name}=...")
        return value

    def integer(self, name: str, *, default: int, least: int = 0, most: int = 2**53) -> int:
        """Return an integer within bounds, or raise QueryError.

        >>> Parameters([("offset", "-3")]).integer("offset", default=0)
        Traceback (most recent call last):
        tracklake.errors.QueryError: offset=-3 is no integer from 0 to 9007199254740992
        """
        value = self.text(name)
        if value is None:
            return default
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 16) or not least <= int(value) <= most:  # noqa: PLR2004 - digits of 2**53
            raise QueryError(f"{name}={value} is no integer from {least} to {most}")
        return int(value)

    def number(self, name: str) -> float | None:
        """Return a number, None if it is absent; QueryError if it is none.

        >>> Parameters([("low", "0.5")]).number("low")
        0.5
        """
        value = self.text(name)
        try:
            return None if value is None else float(value)
        except ValueError:
            raise QueryError(f"{name}={value} is no number") from None

    def flag(self, name: str) -> bool:
        """Tell whether a flag is set (1).

        >>> Parameters([("differ", "1")]).flag("differ")
        True
        """
        return self.text(name) == "1"
