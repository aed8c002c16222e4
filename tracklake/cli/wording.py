"""Messages of the library in the words of the shell: options and commands in the place of arguments and methods."""

from __future__ import annotations

import re

_OPTIONS = (
    "goal|by|over|where|project|columns|order_by|limit|baseline|stat|x|downsample|diverged|failed|unit|test|restart"
)
_WORDS: tuple[tuple[str, str], ...] = (
    (r"lake\.define_metric\((['\"]?)([^'\",)]+)\1, goal=[^)]*\)", r"tracklake define \2 --goal ..."),
    (r"lake\.derive\((['\"])(.+?)\1, None(?:, project=(['\"])(.+?)\3)?\)", r"tracklake derive \2 --remove"),
    (r", or open it with create=True|; create=True makes one", ""),
    (r"\bcreate=True needs one lake", "this needs one lake"),
    (r"open the one that is meant, such as tracklake\.open\((['\"])(.+?)\1\)", r"say which, such as --dir \2"),
    (r"log a run with tracklake\.init\(dir='?(.*?)'?\)", r"log a run there, or try tracklake demo --dir \1"),
    (r"; lake\.connect\(unsafe=True\) gives .*? anything", ""),
    (r"tl\.open\(\.\.\., \w+=\) or (\$\w+)", r"\1"),
    (r"tracklake\.sweep\(\.\.\.\)", "tracklake sweep create"),
    (r"\blake\.check\(\)", "tracklake check"),
    (r"\blake\.(sql|runs|compare|history)\b", r"tracklake \1"),
    (r"read it lazily with scan_history\(\.\.\.\)", "write it with --parquet"),
    (r"\bpattern='", "--pattern '"),
    (rf"\b({_OPTIONS})=(['\"]?)([\w./*+-]+)\2", r"--\1 \3"),
    (rf"\b({_OPTIONS})=(?![\w'\"])", r"--\1"),
    (r"--order_by", "--order-by"),
)
"""What Python calls something, and what the shell does."""


def shell_words(message: str) -> str:
    """Return a message of the library in the words of the shell.

    >>> shell_words('say goal="min" (or once for all: lake.define_metric("loss", goal=...))')
    'say --goal min (or once for all: tracklake define loss --goal ...)'
    >>> shell_words("it looks at many rows at once; ask lake.sql")
    'it looks at many rows at once; ask tracklake sql'
    """
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message)
    return message
