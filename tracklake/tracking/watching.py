"""Histograms of the gradients and parameters of a torch module, logged as it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from tracklake.common import arguments
from tracklake.schema.arrays import as_numpy
from tracklake.schema.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

What = Literal["gradients", "parameters", "all"] | None


class Logging(Protocol):
    """What can log a row."""

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:  # noqa: FBT001
        """Log the values of one row."""


class Watch:
    """Hooks on the parameters of one module; torch itself is not imported here.

    >>> class Module:  # of torch, say
    ...     def named_parameters(self):
    ...         return []
    >>> Watch(None, Module(), what="gradients", every=10, prefix="").end()
    """

    def __init__(self, run: Logging | Any, module: Any, *, what: str | None, every: int, prefix: str) -> None:
        arguments.check_word("log", what, What)
        if not callable(getattr(module, "named_parameters", None)):
            raise arguments.refused("models", "a torch module, or a list of them", module)
        self.module = module
        self._run = run
        self._every = max(1, every)
        self._prefix = prefix
        self._hooks: list[Any] = []
        parameters = [(name, p) for name, p in module.named_parameters() if getattr(p, "requires_grad", True)]
        for name, parameter in parameters:
            self._hooks.append(parameter.register_hook(self._hook(name, parameter, what=what)))

    def end(self) -> None:
        """Take the hooks off. See the class for an example.

        >>> from types import SimpleNamespace
        >>> Watch(None, SimpleNamespace(named_parameters=list), what=None, every=1, prefix="").end()
        """
        while self._hooks:
            self._hooks.pop().remove()

    def _hook(self, name: str, parameter: Any, *, what: str | None) -> Callable[[Any], None]:
        calls = 0

        def on_gradient(gradient: Any) -> None:
            nonlocal calls
            calls += 1
            if (calls - 1) % self._every == 0:
                self._log(name, {"gradients": gradient, "parameters": parameter}, what)

        return on_gradient

    def _log(self, name: str, tensors: Mapping[str, Any], what: str | None) -> None:
        row = {}
        for word, tensor in tensors.items():
            array = as_numpy(tensor.detach()) if what in (word, "all") else None
            if array is not None and array.size:
                row[f"{word}/{self._prefix}{name}"] = Histogram(array.ravel())
        if row:
            self._run.log(row, commit=False)
