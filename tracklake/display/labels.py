"""Labels: names, values, counts and times as a person reads them, in pictures and in notebooks."""

from __future__ import annotations

import unicodedata
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

_UNITS = (
    (172_800.0, 86_400.0, "days"),
    (7_200.0, 3_600.0, "hours"),
    (120.0, 60.0, "minutes"),
    (float("-inf"), 1.0, "seconds"),
)
"""From how many seconds on, how many seconds one has, its name."""

ABSENT = "(absent)"
"""The label of runs that lack a key which is None in others."""
OTHER = "(other)"
"""The name of all values together that have none of their own."""
_BLANK, _PICTURES = 0x20, 0x2400
"""The first character that is no control, and the picture of the first control."""
_SHORT = 0.1
"""Seconds below which a span is written in milliseconds."""


def value_label(value: object, *, quote: bool = False) -> str:
    """Write a value of config as text: the shortest that reads back as the same number; null for none.

    >>> value_label(0.1), value_label(1e-05), value_label(64), value_label(True), value_label(None)
    ('0.1', '1e-05', '64', 'true', 'null')
    >>> value_label("adam"), value_label("adam", quote=True)
    ('adam', "'adam'")
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if quote and isinstance(value, str) else str(value)


def number_labels(numbers: Iterable[float]) -> list[str]:
    """Write numbers with six digits, and with all of theirs where two would read the same.

    >>> number_labels([1000.0, 0.1]), number_labels([0.1234567, 0.12345678])
    (['1000', '0.1'], ['0.1234567', '0.12345678'])
    """
    exact = [float(number) for number in numbers]
    short = [f"{number:g}" for number in exact]
    return short if len(set(short)) == len(set(exact)) else [repr(number) for number in exact]


def printable(text: str) -> str:
    r"""Replace what no picture and no terminal can show by a sign: control characters, line ends, marks of direction.

    >>> printable("val\nloss"), printable("acc\x1b]0;title\x07")
    ('val␊loss', 'acc␛]0;title␇')
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def printable_lines(text: str) -> str:
    r"""Return a text of several lines, each of them `printable`.

    >>> printable_lines("acc\x1b]0;title\nloss")
    'acc␛]0;title\nloss'
    """
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def in_html(text: str) -> str:
    r"""Return a text as HTML shows it: `printable`, and none of it is markup.

    >>> in_html("<b>\x1b[2J")
    '&lt;b&gt;␛[2J'
    """
    return escape(printable_lines(text))


def _visible(char: str) -> str:
    """Return the character, or the sign that stands for it (Unicode's control pictures, else the replacement)."""
    code = ord(char)
    if code < _BLANK:
        return chr(_PICTURES + code)
    return char if char.isprintable() or unicodedata.category(char) == "Zs" else "\N{REPLACEMENT CHARACTER}"


def short_name(name: str, *, width: int = 44) -> str:
    """Shorten the name of a column or metric for a label: without its prefix, and with its middle left out.

    >>> short_name("config.optimizer.lr"), short_name("train/decoder/layer_12/attention/entropy", width=24)
    ('optimizer.lr', 'train/de…tention/entropy')
    """
    return middle_out(printable(name.removeprefix("config.").removeprefix("summary.")), width=width)


def named(columns: Iterable[str], values: Iterable[str]) -> str:
    """Write values beside their columns, whose names are short then: the values tell one group from the next.

    >>> named(["config.lr", "config.model.decoder.attention.dropout"], ["0.1", "0.5"])
    'lr=0.1, model….dropout=0.5'
    """
    return ", ".join(f"{short_name(column, width=14)}={value}" for column, value in zip(columns, values, strict=True))


def middle_out(text: str, *, width: int = 44) -> str:
    """Leave out the middle of a text that is too long; its end tells most and keeps two thirds.

    >>> middle_out("encoder/layer_12/entropy", width=14)
    'encod…/entropy'
    """
    tail = (width - 1) * 2 // 3
    return text if len(text) <= width else f"{text[: width - 1 - tail]}…{text[-tail:]}"


def clipped(text: str, *, width: int) -> str:
    """Leave out the end of a text that is too long.

    >>> clipped("lr=0.1, depth=3", width=8)
    'lr=0.1,…'
    """
    return text if len(text) <= width else f"{text[: width - 1]}…"


def shortened(texts: Sequence[str], *, width: int) -> list[str]:
    """Shorten texts so that those that differ go on to differ: at their end, in their middle, or with a number.

    >>> shortened(["adam, lr=0.1", "adam, lr=0.2"], width=8), shortened(["aaaa1bbbb", "aaaa2bbbb"], width=5)
    (['ada…=0.1', 'ada…=0.2'], ['aa…#1', 'aa…#2'])
    """
    distinct = list(dict.fromkeys(texts))
    for shorten in (clipped, middle_out):
        names = [shorten(text, width=width) for text in distinct]
        if len(set(names)) == len(distinct):
            return [shorten(text, width=width) for text in texts]
    numbers = [f"#{i}" for i in range(1, len(distinct) + 1)]
    numbered = (f"{clipped(text, width=max(width - len(n), 1))}{n}" for text, n in zip(distinct, numbers, strict=True))
    names_of = dict(zip(distinct, numbered, strict=True))
    return [names_of[text] for text in texts]


def time_unit(seconds: pl.Series) -> tuple[float, str]:
    """Return how many seconds a unit has in which the largest of these reads well, and the unit.

    >>> import polars as pl
    >>> time_unit(pl.Series([10.0, 9000.0]))
    (3600.0, 'hours')
    """
    largest = float(seconds.max() or 0.0)  # type: ignore[arg-type] # a column of numbers
    return next((factor, unit) for least, factor, unit in _UNITS if largest >= least)


def duration(seconds: float) -> str:
    """Write a span of time in the unit that reads best.

    >>> duration(9000), duration(0.25), duration(0.00132)
    ('2.5 h', '0.25 s', '1 ms')
    """
    if 0 < seconds < _SHORT:
        return f"{max(seconds * 1000, 1):.0f} ms"
    factor, unit = next((factor, unit) for least, factor, unit in _UNITS if seconds >= least)
    return f"{seconds / factor:.3g} {'min' if unit == 'minutes' else unit[0]}"
