"""What TensorBoard's hparams plugin says of a session: hyperparameters, group, start and end."""

from __future__ import annotations

from typing import Any, NamedTuple

from tracklake.importers.readers.protobuf import double, fields, message, text, whole

_DEEPEST = 20


class Session(NamedTuple):
    """What one message says; None what it does not say."""

    config: dict[str, Any]
    group: str | None = None
    start: float | None = None
    """Seconds since the epoch."""
    end: float | None = None
    status: int | None = None
    """1: success, 2: failure, 3: running."""


def parse(content: bytes) -> Session:
    """Return what a plugin's content says; ValueError for what is none.

    >>> parse(bytes([0x22, 2, 0x08, 1])).status
    1
    """
    session = Session({})
    for number, raw in fields(content):
        if number == 3:  # noqa: PLR2004 - session_start_info
            session = _start(message(raw), session)
        elif number == 4:  # noqa: PLR2004 - session_end_info
            for n, part in fields(message(raw)):
                session = session._replace(status=whole(part)) if n == 1 else session._replace(end=double(part))
    return session


def _start(data: bytes, session: Session) -> Session:
    config = dict(session.config)
    for number, raw in fields(data):
        if number == 1:
            entry = dict(fields(message(raw)))
            config[text(entry.get(1, b""))] = _value(message(entry.get(2, b"")), 0)
        elif number == 4:  # noqa: PLR2004 - group_name
            session = session._replace(group=text(raw) or None)
        elif number == 5:  # noqa: PLR2004 - start_time_secs
            session = session._replace(start=double(raw))
    return session._replace(config=config)


def _value(data: bytes, depth: int) -> Any:
    """Return a google.protobuf.Value."""
    if depth > _DEEPEST:
        raise ValueError("a value is nested too deeply")
    for number, raw in fields(data):
        if number == 2:  # noqa: PLR2004 - a number; whole ones are integers, as the message knows no others
            number_value = double(raw)
            return int(number_value) if number_value.is_integer() and abs(number_value) < 2**53 else number_value
        if number == 3:  # noqa: PLR2004 - a text
            return text(raw)
        if number == 4:  # noqa: PLR2004 - a truth
            return bool(raw)
        if number == 6:  # noqa: PLR2004 - a list
            return [_value(message(part), depth + 1) for n, part in fields(message(raw)) if n == 1]
    return None
