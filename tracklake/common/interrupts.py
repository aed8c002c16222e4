"""What a signal handler raises comes through, wherever it was raised: native libraries lose it.

Handlers run wherever native code asks the interpreter for a text or a call. Polars asks so for each dtype and each
string of an expression; where that raises, it reports an "unraisable" exception and goes on with a text of its own: a
filter for another metric, so an answer without rows, or a TypeError. Here such an exception is raised again as soon as
the native call has returned, before its result is used. Some it drops without a report, or turns into a panic: so
handlers are listened to meanwhile, and what one raised is what a call raises in the end.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # of C: by way of the names of signals each call takes ten times as long
import contextlib
import signal
import sys
import threading
from collections import defaultdict
from functools import cached_property, partial, wraps
from types import FrameType, FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGBREAK")
_LISTENED_TO = tuple(int(getattr(signal, name)) for name in _NAMES if hasattr(signal, name))
"""The signals whose handlers may raise: those that people, alarms and schedulers send."""
_SHOWN = ("__repr__", "_repr_html_", "_repr_mimebundle_")


def raised_again(call: Callable[P, R]) -> Callable[P, R]:
    """Return the call, in which no exception of a signal handler is lost; beside the main thread there are none.

    >>> import signal
    >>> def time_out(*_):
    ...     raise TimeoutError("too long")
    >>> before = signal.signal(signal.SIGALRM, time_out)
    >>> class Name(str):
    ...     def __del__(self):
    ...         signal.raise_signal(signal.SIGALRM)
    >>> def read():
    ...     name = Name("loss")
    ...     del name  # what is raised in here is lost
    ...     return "an answer"
    >>> raised_again(read)()
    Traceback (most recent call last):
    TimeoutError: too long
    >>> _ = signal.signal(signal.SIGALRM, before)
    """

    @wraps(call)
    def watched(*args: P.args, **kwargs: P.kwargs) -> R:
        before = sys.unraisablehook
        if threading.get_ident() != threading.main_thread().ident or _is_ours(before):
            return call(*args, **kwargs)
        raising = _raise_lost(before)
        next(raising)
        listeners = _listeners()
        try:
            sys.unraisablehook = raising.send
            _listening[:] = listeners
            for listener in listeners:
                _signal.signal(listener.number, listener)
            answer = call(*args, **kwargs)
        except BaseException as error:
            _let_come()
            raised = [listener.raised for listener in listeners if listener.raised is not None]
            if raised and error not in raised:
                raise raised[-1] from None
            raise
        finally:
            sys.unraisablehook = before
            _listening.clear()
            for listener in listeners:
                listener.end()
            raising.close()  # here, where what is raised meanwhile comes through, and not as it is collected
        for listener in listeners:
            if listener.raised is not None:
                raise listener.raised
        return answer

    return watched


class _Listener:
    """A handler of a signal, in the place of the one that it calls: it remembers what that raised."""

    def __init__(self, number: int, handler: Callable[[int, FrameType | None], object]) -> None:
        self.number = number
        self.handler = handler
        self.raised: BaseException | None = None

    def end(self) -> None:
        """Put the handler back, unless somebody has set another meanwhile."""
        if _signal.getsignal(self.number) is self:
            _signal.signal(self.number, self.handler)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            self.handler(number, frame)
        except BaseException as error:
            self.raised = error
            raise


_listening: list[_Listener] = []
"""Of the call that is being watched."""


def raise_heard() -> None:
    """Raise what a handler raised in the call that is being watched, and native code has dropped; for who waits long.

    >>> raise_heard()  # nothing was
    """
    if threading.get_ident() == threading.main_thread().ident:
        for listener in _listening.copy():
            if listener.raised is not None:
                raise listener.raised


def _listeners() -> list[_Listener]:
    """Return a listener for each signal that has a handler; they do not listen yet."""
    listeners = []
    for number in _LISTENED_TO:
        handler = _signal.getsignal(number)
        while isinstance(handler, _Listener):  # one whose end was interrupted
            handler = handler.handler
        if callable(handler):
            listeners.append(_Listener(number, handler))
    return listeners


def raised_again_by_methods(cls: C) -> C:
    """Return the class with `raised_again` around its public methods and properties, and around how it shows itself.

    >>> @raised_again_by_methods
    ... class Lake:
    ...     def runs(self):
    ...         return 2
    >>> Lake().runs()
    2
    """
    for name, member in list(vars(cls).items()):
        if name.startswith("_") and name not in _SHOWN:
            continue
        if isinstance(member, FunctionType):
            setattr(cls, name, raised_again(member))
        elif isinstance(member, cached_property):
            member.func = raised_again(member.func)
        elif isinstance(member, property) and member.fget is not None:
            setattr(cls, name, property(raised_again(member.fget), member.fset, member.fdel, member.__doc__))
    return cls


def let_through(error: BaseException) -> None:
    """Raise an error again that a signal handler raised: TimeoutError of an alarm is an OSError, and means no file.

    >>> let_through(PermissionError("no right to read"))  # none of a handler
    """
    if _is_of_a_handler(error, error.__traceback__):
        raise error


class suppressed(contextlib.suppress):  # noqa: N801 - as contextlib has it
    """Suppress errors as `contextlib.suppress` does, but for what a signal handler raised.

    >>> with suppressed(OSError):
    ...     raise PermissionError("no right to write")
    """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Tell whether the error is suppressed."""
        return super().__exit__(kind, error, traceback) and not _is_of_a_handler(error, traceback)


def caller_of(frame: FrameType | None) -> FrameType | None:
    """Return the frame that called a public method, whether or not it is watched here.

    >>> import sys
    >>> caller_of(sys._getframe()) is sys._getframe().f_back
    True
    """
    frame = frame.f_back if frame else None
    while frame is not None and frame.f_globals.get("__name__") == __name__ and frame.f_code.co_name == "watched":
        frame = frame.f_back
    return frame


def _is_ours(hook: Any) -> bool:
    return getattr(getattr(hook, "__self__", None), "__name__", None) == _raise_lost.__name__


def _raise_lost(before: Callable[[sys.UnraisableHookArgs], object]) -> Generator[None, sys.UnraisableHookArgs, None]:
    """Take what is unraisable: what handlers raised is raised when native code has returned, all else goes to `before`.

    A generator, since its `send` is native: what a further signal raises at its first line is caught here as well.
    """
    lost: BaseException | None = None
    while True:
        try:
            if lost is not None:
                _due(lost)[None]  # no call, after which the interpreter would raise it in here
            unraisable = yield
            lost = None
            if _is_of_a_handler(unraisable.exc_value, unraisable.exc_traceback):
                lost = unraisable.exc_value
            else:
                before(unraisable)
        except GeneratorExit:
            return
        except BaseException as newer:  # noqa: BLE001 - raised in the place of the one before
            lost = newer


def _due(error: BaseException) -> Mapping[None, int]:
    """Return a mapping that, when it is first looked into, has this very exception raised by the main thread."""
    import ctypes  # polars has loaded it

    again = type(type(error).__name__, (type(error),), {"__new__": lambda *_: error})  # the interpreter takes a class
    main = ctypes.c_ulong(threading.main_thread().ident or 0)
    return defaultdict(partial(ctypes.pythonapi.PyThreadState_SetAsyncExc, main, ctypes.py_object(again)))


def _is_of_a_handler(error: BaseException | None, traceback: TracebackType | None) -> bool:
    """Whether a signal handler raised it: Python's own for Ctrl-C, or one whose code is in its traceback."""
    if threading.get_ident() != threading.main_thread().ident:
        return False
    if isinstance(error, KeyboardInterrupt):
        return True
    codes = set()
    while traceback is not None:
        codes.add(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    return any(_code_of(signal.getsignal(number)) in codes for number in signal.valid_signals())


def _code_of(handler: Any) -> Any:
    while isinstance(handler, partial):
        handler = handler.func
    handler = getattr(handler, "__func__", handler)
    if not hasattr(handler, "__code__"):
        handler = vars(type(handler)).get("__call__")
    return getattr(handler, "__code__", None)


def _let_come() -> None:
    """Give an exception that is due the place to be raised: the interpreter looks as it enters a function."""
