"""Deadlines: a request that trickles in cannot hold a thread for ever."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer


class DeadlineReader(io.RawIOBase):
    """Reads a socket until a moment, however many small pieces come; TimeoutError after it.

    >>> import socket
    >>> a, b = socket.socketpair()
    >>> reader = DeadlineReader(b)
    >>> reader.allow(0.01)
    >>> reader.readinto(bytearray(4))
    Traceback (most recent call last):
    TimeoutError: timed out
    >>> a.close(), b.close()
    (None, None)
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._end = time.monotonic()

    def allow(self, seconds: float) -> None:
        """Set how many seconds are left from now.

        >>> import socket
        >>> DeadlineReader(socket.socket()).allow(10)
        """
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        """Say that it can be read.

        >>> import socket
        >>> DeadlineReader(socket.socket()).readable()
        True
        """
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with what comes next.

        >>> import socket
        >>> a, b = socket.socketpair()
        >>> reader, buffer = DeadlineReader(b), bytearray(4)
        >>> reader.allow(5)
        >>> a.send(b"GET"), reader.readinto(buffer), a.close(), b.close()
        (3, 3, None, None)
        """
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(remaining)
        return self._connection.recv_into(buffer)
