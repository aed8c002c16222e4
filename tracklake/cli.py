"""The command `tracklake`: a thin layer over the library. The commands stand in `commands`, by what they are for."""

from __future__ import annotations

import sys

from tracklake.commands import ask, judge, keep, say, watch
from tracklake.commands.base import main

COMMANDS = (ask, judge, watch, say, keep)
"""The modules that hold the commands; importing one adds its commands to `main`."""

if __name__ == "__main__":
    sys.exit(main())
