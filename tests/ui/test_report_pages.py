"""Reports in the page, over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_a_report_is_written_shown_and_kept(lake, browser):
    """It is a file beside the lake, shown resolved, and can be downloaded."""
    assert browser.change("report", {"name": "first", "text": "# ${run:lr0.1-s0:config.lr}"}).status == 200
    assert Path(lake.dir, "reports", "first.md").read_text() == "# ${run:lr0.1-s0:config.lr}"
    assert browser.ask("reports")["reports"] == ["first"]
    page = browser.raw("report", name="first", form="page")
    assert b">0.1</span></h1>" in page.body
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups" in policy
    assert "script-src" not in policy
    assert browser.raw("report", name="first", form="html").headers["content-disposition"].startswith("attachment")


def test_a_preview_tells_what_is_unresolved(browser):
    """A text is resolved before it is saved."""
    found = browser.change("preview", {"text": "${run:lr0.1-s0:config.lrr} <script>"}).json
    assert "did you mean 'config.lr'" in found["problems"][0]
    assert b"<script" not in browser.raw("preview_page", key=found["key"]).body
    assert "no --- at its end" in browser.change("preview", {"text": "---\n"}).json["problems"][0]


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "a\0", None, "x" * 101])
def test_a_name_is_no_path(lake, browser, name):
    """A report lies in its folder and nowhere else."""
    assert browser.change("report", {"name": name, "text": "x"}).status == 400
    assert not list(Path(lake.dir).parent.glob("x.md"))


def test_a_report_that_is_not_there(browser):
    """The reply says so, and names the nearest."""
    browser.change("report", {"name": "found", "text": "# a"})
    assert "did you mean 'found'" in browser.raw("report", name="fond", form="page").json["error"]
