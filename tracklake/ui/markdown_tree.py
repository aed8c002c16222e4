"""Markdown as a tree of tags and texts, which a page builds element by element: nothing is ever parsed as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

TAGS = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "strong", "em", "s"),
    *("a", "hr", "br", "table", "thead", "tbody", "tr", "th", "td"),
}
Node = str | dict[str, Any]


def parser() -> MarkdownIt:
    r"""Return the parser of notes and reports: CommonMark with tables; HTML in it is text.

    >>> parser().render("<script>x</script>")
    '<p>&lt;script&gt;x&lt;/script&gt;</p>\n'
    """
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(["image"])


def tree(text: str) -> list[Node]:
    """Return Markdown as nodes: a text, or {tag, children, href}; links lead to http, https and mailto only.

    >>> tree("a *b*")
    [{'tag': 'p', 'children': ['a ', {'tag': 'em', 'children': ['b']}]}]
    """
    if not text:
        return []
    root: list[Node] = []
    stack = [root]
    for token in parser().parse(text):
        _add(token, stack)
    return root


def _add(token: Token, stack: list[list[Node]]) -> None:
    """Add a token to the innermost open node, or open or close one."""
    if token.type == "inline":
        for child in token.children or []:
            _add(child, stack)
    elif token.hidden:
        return
    elif token.nesting == -1:
        stack.pop()
    elif token.tag in TAGS:
        node: dict[str, Any] = {"tag": token.tag, "children": [token.content] if token.content else []}
        href = str(token.attrGet("href") or "")
        if href.startswith(("http://", "https://", "mailto:")):
            node["href"] = href
        stack[-1].append(node)
        if token.nesting == 1:
            stack.append(node["children"])
    elif token.type in ("softbreak", "hardbreak"):
        stack[-1].append("\n")
    else:
        stack[-1].append(token.content)
        if token.nesting == 1:
            stack.append([])
