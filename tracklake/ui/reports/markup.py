"""Markup: Markdown to HTML. HTML in it is text; values and answers of a lake are put in after parsing, escaped."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from tracklake.display.labels import in_html
from tracklake.errors import TracklakeError
from tracklake.ui.reports import blocks
from tracklake.ui.reports.references import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

    from tracklake.ui.reports.references import Quoted

_OPEN, _CLOSE = "\ue000", "\ue001"  # of the private use area: no keyboard writes them
_PLACE = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


class Markup:
    r"""Renders one text: `quote` gives the value of a reference, `answer` the HTML of a block that asks.

    `problems` lists what could not be resolved, with the line of a block.

    >>> from tracklake.ui.reports.references import Quoted
    >>> markup = Markup(quote=lambda inside: Quoted("<b>", "a"), answer=lambda kind, text: "")
    >>> markup.html("It is ${run:name}.")
    '<p>It is <span class="value" title="a">&lt;b&gt;</span>.</p>\n'
    """

    def __init__(self, *, quote: Callable[[str], Quoted], answer: Callable[[str, str], str]) -> None:
        self._quote = quote
        self._answer = answer
        self._quoted: list[tuple[str, Quoted]] = []
        self.problems: list[str] = []

    def html(self, text: str) -> str:
        r"""Return the HTML of a text in Markdown.

        >>> Markup(quote=lambda _: None, answer=lambda *_: "").html("# <script>")
        '<h1>&lt;script&gt;</h1>\n'
        """
        clean = text.replace(_OPEN, "").replace(_CLOSE, "")
        return str(self._parser().render(REFERENCE.sub(self._placed, clean)))

    def _placed(self, match: re.Match[str]) -> str:
        """Put a mark in the place of a reference, which Markdown leaves as it is, in a table as well."""
        self._quoted.append((match[0], self._quote(match[1])))
        return f"{_OPEN}{len(self._quoted) - 1}{_CLOSE}"

    def _parser(self) -> MarkdownIt:
        from markdown_it import MarkdownIt

        parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(["image"])
        for name, rule in (("text", self._text), ("code_inline", self._code), ("fence", self._fence)):
            parser.add_render_rule(name, lambda _, *arguments, rule=rule: rule(*arguments))
        return parser

    def _text(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return self._filled(tokens[index].content)

    def _code(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return f"<code>{self._filled(tokens[index].content)}</code>"

    def _filled(self, text: str) -> str:
        return _PLACE.sub(lambda match: self._value(int(match[1])), escape(text))

    def _value(self, place: int) -> str:
        source, quoted = self._quoted[place]
        if quoted.is_resolved:
            return f'<span class="value" title="{in_html(quoted.about)}">{in_html(quoted.text)}</span>'
        self.problems.append(f"{source}: {quoted.about}")
        return f'<span class="problem" title="{in_html(quoted.about)}">{in_html(source)}</span>'

    def _fence(self, tokens: Sequence[Token], index: int, *__: Any) -> str:
        token = tokens[index]
        kind, _, caption = token.info.strip().partition(" ")
        text = _PLACE.sub(lambda match: self._quoted[int(match[1])][0], token.content)
        if kind not in blocks.BLOCKS:
            return f"<pre><code>{escape(text)}</code></pre>\n"
        below = f"<figcaption>{self._filled(caption)}</figcaption>" if caption else ""
        try:
            return f"<figure>{self._answer(kind, text)}{below}</figure>\n"
        except (TracklakeError, TypeError) as error:
            line = f"line {token.map[0] + 1}: " if token.map else ""
            self.problems.append(f"{line}{kind}: {error}")
            return f'<pre class="problem">{in_html(f"{kind}: {error}")}</pre>\n'
