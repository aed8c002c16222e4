"""Style: how a report looks, on a screen, in the dark and on paper."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--back:#fff;--front:#1c2126;--quiet:#5c666f;--line:#d9dde1;--soft:#f4f6f8;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--back:#15191d;--front:#e3e7ea;--quiet:#9ba6af;--line:#333b42;--soft:#1f262c;
--bad:#ff8a80}}
body{font:16px/1.6 system-ui,"Segoe UI","Helvetica Neue",Arial,"Liberation Sans",sans-serif;margin:2.5rem auto;
max-width:52rem;padding:0 1.2rem;background:var(--back);color:var(--front)}
h1,h2,h3{line-height:1.25;margin:1.8em 0 .5em}h1{margin-top:0}a{color:inherit}
table{border-collapse:collapse;font-size:.88rem;margin:.6rem 0;max-width:100%;display:block;overflow-x:auto}
th,td{text-align:left;padding:.2rem .9rem .2rem 0;border-bottom:1px solid var(--line);vertical-align:top}
.number{text-align:right;font-variant-numeric:tabular-nums}.best td{font-weight:600}
figure{margin:1.4rem 0}figcaption,.notes,footer,.title{color:var(--quiet);font-size:.85rem}
figure img{max-width:100%;background:#fff;border-radius:6px}
@media screen and (prefers-color-scheme:dark){figure img{filter:invert(.92) hue-rotate(180deg)}}
pre{background:var(--soft);padding:.7rem .9rem;overflow-x:auto;font-size:.85rem;border-radius:6px;white-space:pre-wrap}
code{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.9em}
.value{font-variant-numeric:tabular-nums;border-bottom:1px dotted var(--quiet)}
.problem{color:var(--bad);border:1px solid var(--bad);border-radius:4px;padding:0 .3rem}pre.problem{padding:.7rem .9rem}
blockquote{border-left:3px solid var(--line);margin-left:0;padding-left:1rem;color:var(--quiet)}
footer{margin-top:3rem;border-top:1px solid var(--line);padding-top:.6rem}
@media print{body{margin:0;max-width:none;font-size:11pt;background:#fff;color:#000}figure,table,pre{break-inside:avoid}
h1,h2,h3{break-after:avoid}.value{border:0}table{display:table}@page{margin:18mm}}
"""
