"""A warning, once, when a row replaces values that were logged at its step before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.compute.points import PSEUDO

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracklake.tracking.read_your_writes import ReadYourWrites
    from tracklake.tracking.session import Session


class ReplacedValues:
    """Looks at late rows, and at those below the last step of other sessions, whether they replace values.

    A second loop that starts again at step 0, and a second process that does, are mistakes more often than not. A look
    costs a read of the lake, so after n rows that replaced nothing the next look is at row 2 n.
    """

    def __init__(self, session: Session, logged: ReadYourWrites, *, contested: int) -> None:
        """Other sessions have logged below the step `contested`."""
        self.is_on = True
        """Whether it has not warned yet."""
        self.contested = contested or -(1 << 63)
        """Rows below this step are looked at."""
        self._session = session
        self._logged = logged
        self._n_rows = 0
        self._next_look = 1

    def check(self, names: Collection[str], step: int) -> None:
        """Warn if one of these metrics has a value at the step already.

        >>> import warnings
        >>> with tl.init(id="r1") as run, warnings.catch_warnings(record=True, action="always") as warned:
        ...     run.log({"loss": 2.0}), run.log({"loss": 1.0})
        ...     run.log({"loss": 3.0}, step=0)
        (None, None)
        >>> str(warned[0].message)
        "tracklake: run 'r1': 'loss' was logged at step 0 before; the new value replaces it, ..."
        """
        self._n_rows += 1
        if self._n_rows < self._next_look:
            return
        self._next_look = 2 * self._n_rows
        replaced = self._logged.logged_at([name for name in names if name not in PSEUDO], step)
        if replaced:
            self.is_on, self.contested = False, -(1 << 63)
            self._session.warn_once(
                "replaced",
                f"tracklake: run {self._session.run_id!r}: {replaced[0]!r} was logged at step {step} before; the new "
                "value replaces it, and others that follow may as well (raw=True shows all). Log on without step=, or "
                "give each process an id of its own, if that is not meant",
            )
