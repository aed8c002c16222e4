"""Work in threads."""

from __future__ import annotations

import weakref

from tracklake.common import threads


class Array:
    """What may be large."""


def test_what_was_taken_is_not_held_on_to():
    """Else the memory of one more value is taken than who asks for them has room for."""
    arrays = threads.in_threads(lambda _: Array(), range(3), workers=1)
    first = next(arrays)
    seen = weakref.ref(first)
    del first
    assert seen() is None
    arrays.close()


def test_values_come_in_the_order_of_their_items_and_no_more_of_them_wait_than_there_are_workers():
    """However long each takes."""
    begun: list[int] = []

    def number(n: int) -> int:
        begun.append(n)
        return n

    values = threads.in_threads(number, range(6), workers=2)
    assert next(values) == 0
    assert len(begun) <= 2
    assert list(values) == [1, 2, 3, 4, 5]
