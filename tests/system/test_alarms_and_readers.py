"""What a reader or a sealer has seen of a journal stays there, whatever exception stops its writer then.

An alarm may raise TimeoutError, which is an OSError, right behind a write that has succeeded.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from interrupter import Interrupter

import tracklake as tl
from tracklake.errors import LakeError
from tracklake.storage.journal import open_file, writer


def look(kept: tl.Lake) -> None:
    """What a Lake does that stays open."""
    kept.history("i", raw=True)


def seal(kept: tl.Lake) -> None:
    """What another process does, with journals that are still written too."""
    tl.open(kept.dir).refresh()


def values(lake: tl.Lake) -> list[float]:
    return lake.history("i", raw=True)["value"].to_list()


class WriterInterrupter(Interrupter):
    """One that counts only the lines that write journals."""

    def trace(self, frame: FrameType, *_: object) -> Any:
        return self.line if frame.f_code.co_filename in (writer.__file__, open_file.__file__) else None


LONG = pytest.mark.long
ERRORS = [TimeoutError(), ConnectionResetError(errno.ECONNRESET, "reset"), KeyboardInterrupt()]


@pytest.mark.parametrize("rotate_at", [1 << 20, pytest.param(1, marks=LONG)])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("act", [look, seal])
def test_what_was_read_or_sealed_is_never_cut_off(
    tmp_path: Path, monkeypatch, act: Callable[[tl.Lake], None], error: BaseException, rotate_at: int
):
    """At each line of a write: somebody reads, the handler raises; the rows logged after are in every answer."""
    monkeypatch.setattr(writer, "ROTATE_AT", rotate_at)
    kept, at, is_over, logged = tl.open(tmp_path, create=True), 1, False, set[float]()

    def interrupt() -> None:
        act(kept)
        raise error

    with tl.init("p", id="r", dir=tmp_path, settings={"metadata": False}) as run:
        run.log({"i": -1.0})
        while not is_over:
            interrupter = WriterInterrupter(at, interrupt)
            with contextlib.suppress(type(error), LakeError), interrupter:
                run.log({"i": float(at)})
            is_over = interrupter.left > 0
            run.log({"i": at + 0.5})
            logged.add(at + 0.5)
            assert logged - set(values(kept)) == set(), at
            at += 1
        assert values(kept) == values(tl.open(tmp_path))
    assert at > 10
    kept.refresh()
    assert len(values(kept)) == len(set(values(kept)))
    assert kept.check(full=True).findings == []
    assert list((tmp_path / "journal").iterdir()) == []
