"""numpy, loaded when something of it is first used: a table of runs is answered without it.

All modules take it from here: it loads whole, whatever interrupts that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.common import whole_modules

__all__ = ["np"]

if TYPE_CHECKING:
    import numpy as np
else:

    class _Numpy:
        """Stands for the module; what was used once is an attribute from then on, as quick as the module's own."""

        def __getattr__(self, name: str) -> Any:
            whole_modules.load("numpy")
            import numpy as np

            setattr(self, name, attribute := getattr(np, name))
            return attribute

    np = _Numpy()
