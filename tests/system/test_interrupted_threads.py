"""Waiting for a thread: whatever interrupts it, and however often, comes through, and nobody waits for ever."""

from __future__ import annotations

import time
from functools import partial

import pytest
from interrupter import CallInterrupter, Interrupter, interrupt
from processes import output

from tracklake.common import threads

STORM = """
import faulthandler
from concurrent.futures import ThreadPoolExecutor
from tracklake.common import threads

left, interrupted = 0, 0


def interrupt(*_):
    global left
    if left:
        left -= 1
        raise TimeoutError


def ask(number):
    flag = threads.Flag()
    setter = threads.start(flag.set, name="setter")
    flag.wait()
    assert list(threads.in_threads(abs, range(3), workers=2)) == [0, 1, 2]
    return threads.start(lambda: number, name="number").result() + (not setter.wait())


faulthandler.dump_traceback_later(100, exit=True)  # where it hangs, and an end
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 1e-5, 5e-5)
for number in range(int(sys.argv[1])):
    try:
        try:
            left = 2
            found = ask(number)
        except TimeoutError:
            found, interrupted = number, interrupted + 1
        left = 0
    except TimeoutError:
        pass
    left = 0
    assert found == number
signal.setitimer(signal.ITIMER_REAL, 0)
assert interrupted > number / 10, interrupted
"""


@pytest.mark.parametrize("times", [1_000, pytest.param(200_000, marks=pytest.mark.long)])
def test_alarms_that_raise_twice(times: int):
    """A timer faster than a thread starts: nothing but its TimeoutError is raised, nothing hangs, all values arrive."""
    output(STORM, times)


@pytest.mark.parametrize("kind", [Interrupter, CallInterrupter])
def test_an_interrupt_at_each_place_of_a_wait(kind: type[Interrupter]):
    """It comes through, what was begun ends, and the next call has its own value."""
    at, is_over = 1, False
    while not is_over:
        interrupter = kind(at, interrupt)
        try:
            with interrupter:
                assert list(threads.in_threads(abs, [-1, 2, -3], workers=2)) == [1, 2, 3]
                assert threads.start(lambda: 7, name="seven").result() == 7
        except KeyboardInterrupt:
            pass
        is_over = interrupter.left > 0
        at += 1
        assert threads.start(partial(abs, at), name="next").result() == at
    assert at > 50
    assert all(call.wait(10) for call in threads.running.copy() if not call.is_daemon)


def test_what_is_interrupted_waits_for_what_it_began():
    """A map that ends early leaves no thread behind that still works."""
    ended: list[float] = []

    def work(seconds: float) -> None:
        time.sleep(seconds)
        ended.append(seconds)
        if seconds == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(threads.in_threads(work, [0, 0.05, 0.1], workers=3))
    assert sorted(ended) == [0, 0.05, 0.1]
