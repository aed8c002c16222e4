"""How a newcomer does the ten tasks in each of the three pages (see newcomer.py): clicks and typed texts, counted.

A task begins where the page shows the runs, but for the first, which opens it; it ends when its answer stands there.
What a page cannot answer is said in words.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

Page = Any
"""A page of playwright."""
WIDE = "lr0.01-w256"
PLOT = ".js-plotly-plot .plot-container"


class Hand:
    """Clicks and types, and counts both."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.actions = 0

    def click(self, place: Any, **options: Any) -> None:
        self.actions += 1
        place.first.click(**options)

    def write(self, place: Any, text: str) -> None:
        self.actions += 1
        place.first.fill(text)
        self.page.keyboard.press("Enter")

    def button(self, name: str, *, exact: bool = True) -> None:
        self.click(self.page.get_by_role("button", name=name, exact=exact))

    def sees(self, text: str | re.Pattern[str]) -> None:
        self.page.get_by_text(text).first.wait_for()


Task = Callable[[Hand], None]


# tracklake


def _home(hand: Hand) -> None:
    hand.page.get_by_role("link", name="lr0.3-w256-s2").wait_for()


def _best(hand: Hand) -> None:
    page = hand.page
    hand.button("Columns", exact=False)
    hand.write(page.get_by_label("Find a column"), "val/acc")
    hand.click(page.locator("label[title='summary.val/acc.max']"))
    hand.button("Close")
    hand.click(page.locator(".grid-head").get_by_role("button", name="val/acc.max"))
    page.locator("[aria-sort=descending]").wait_for()
    page.locator(".grid-body .grid-row[id=row-0]", has_text=WIDE).wait_for()


def _low_rates(hand: Hand) -> None:
    hand.write(hand.page.get_by_label("Filter in SQL"), "config.lr <= 0.001")
    hand.page.get_by_role("status").get_by_text("24 runs").wait_for()


def _curves(hand: Hand) -> None:
    hand.click(hand.page.get_by_role("link", name="Charts"))
    hand.page.locator(".note", has_text="points").or_(
        hand.page.locator(".note", has_text="every point")
    ).first.wait_for()


def _seeds(hand: Hand) -> None:
    hand.write(hand.page.get_by_label("Search"), WIDE)
    hand.page.get_by_role("status").get_by_text("3 runs").wait_for()
    hand.click(hand.page.get_by_role("link", name="Charts"))
    hand.page.locator(".note", has_text="every point (300)").first.wait_for()


def _means(hand: Hand) -> None:
    hand.button("Group")
    hand.click(hand.page.locator("label[title='config.lr']"))
    hand.click(hand.page.locator("label[title='config.width']"))
    hand.button("Close")
    hand.page.get_by_role("status").get_by_text("20 groups").wait_for()


def _failed(hand: Hand) -> None:
    hand.write(hand.page.get_by_label("Filter in SQL"), "state = 'failed'")
    hand.page.get_by_role("status").get_by_text("3 runs").wait_for()
    hand.click(hand.page.get_by_role("link", name="lr0.3-w256-s0"))
    hand.sees("diverged at step 51")


def _difference(hand: Hand) -> None:
    hand.click(hand.page.get_by_label("select lr0.3-w32-s0"))
    hand.click(hand.page.get_by_label("select lr0.3-w64-s0"))
    hand.click(hand.page.get_by_role("link", name="Diff"))
    hand.sees("config.width")


def _scatter(hand: Hand) -> None:
    hand.click(hand.page.get_by_role("link", name="Scatter"))
    hand.page.get_by_role("img", name=re.compile("over config.lr")).wait_for()


def _tag(hand: Hand) -> None:
    tag = f"t{time.time_ns()}"
    hand.click(hand.page.get_by_role("link", name="lr0.3-w256-s2"))
    hand.write(hand.page.get_by_label("Add a tag"), tag)
    hand.page.locator(".tag", has_text=tag).wait_for()


# mlflow


def _ml_runs(hand: Hand) -> None:
    hand.click(hand.page.get_by_role("link", name="sweep"))
    hand.click(hand.page.get_by_text("Model training", exact=True))
    hand.click(hand.page.get_by_role("link", name=re.compile("runs", re.IGNORECASE)))
    hand.page.get_by_text("lr0.3-w256-s2", exact=True).first.wait_for()


def _ml_filter(hand: Hand, text: str, found: str) -> None:
    hand.write(hand.page.get_by_role("combobox", name=re.compile("metrics.rmse")), text)
    hand.sees(re.compile(rf"\b{found} matching"))


def _ml_charts(hand: Hand) -> None:
    hand.click(hand.page.locator("label:has(input[value=CHART])"))
    hand.page.locator(PLOT).first.wait_for()


def _ml_last(hand: Hand) -> None:
    hand.button("Sort", exact=False)
    hand.click(
        hand.page.get_by_role("menuitemcheckbox", name="val/acc").or_(hand.page.get_by_text("val/acc", exact=True))
    )
    hand.page.get_by_text(re.compile(f"^{WIDE}")).first.wait_for()


def _ml_low_rates(hand: Hand) -> None:
    _ml_filter(hand, "params.lr LIKE '0.00%'", "24")


def _ml_seeds(hand: Hand) -> None:
    _ml_filter(hand, f"attributes.run_name LIKE '{WIDE}%'", "3")
    _ml_charts(hand)


def _ml_means(hand: Hand) -> None:
    for name in ("lr", "width"):
        hand.click(hand.page.get_by_role("button", name=re.compile("Group", re.IGNORECASE)))
        hand.click(
            hand.page.get_by_role("menuitemcheckbox", name=name, exact=True).or_(
                hand.page.get_by_text(name, exact=True)
            )
        )
    hand.button("Columns", exact=False)
    hand.click(hand.page.get_by_role("tree").get_by_text("val/acc").or_(hand.page.get_by_text("val/acc", exact=True)))
    hand.page.get_by_role("columnheader", name="val/acc").first.wait_for()


def _ml_failed(hand: Hand) -> None:
    _ml_filter(hand, "attributes.status = 'FAILED'", "3")


def _ml_difference(hand: Hand) -> None:
    for row in (0, 9):
        hand.click(hand.page.get_by_role("checkbox", name=re.compile("toggle row selection")).nth(row), force=True)
    hand.button("Compare")
    hand.page.get_by_text(re.compile("Show diff only")).first.wait_for()


def _ml_scatter(hand: Hand) -> None:
    hand.click(hand.page.get_by_role("checkbox", name="Select all runs"), force=True)
    hand.button("Compare")
    hand.click(hand.page.get_by_role("tab", name="Scatter Plot"))
    hand.click(hand.page.get_by_role("main").get_by_text("train/loss", exact=True))
    hand.click(hand.page.get_by_role("option", name="val/acc"))
    hand.page.locator(PLOT).first.wait_for()


def _ml_tag(hand: Hand) -> None:
    page, tag = hand.page, f"t{time.time_ns()}"
    hand.click(page.get_by_role("link", name="lr0.3-w256-s2"))
    hand.click(page.get_by_role("button", name=re.compile("Add tags|Edit tags", re.IGNORECASE)))
    hand.click(page.get_by_role("dialog").get_by_role("combobox"))
    page.keyboard.type(tag)
    page.get_by_role("option", name=tag).wait_for(state="attached")
    page.keyboard.press("Enter")
    hand.click(page.get_by_role("dialog").get_by_role("button", name="Add tag", exact=True))
    hand.click(page.get_by_role("dialog").get_by_role("button", name="Save tags"))
    page.get_by_role("main").get_by_text(tag).first.wait_for()


# tensorboard


def _tb_home(hand: Hand) -> None:
    hand.sees("lr0.0001-w128-s0")


def _tb_runs(hand: Hand, pattern: str, gone: str) -> None:
    hand.write(hand.page.locator("tb-filter-input.run-filter input"), pattern)
    hand.page.get_by_text(gone).first.wait_for(state="detached")


def _tb_curves(hand: Hand) -> None:
    hand.page.locator("line-chart").first.wait_for()


def _tb_hparams(hand: Hand) -> None:
    hand.click(hand.page.get_by_role("tab", name="hparams"))
    hand.sees(re.compile("matching session groups: 60"))


def _tb_best(hand: Hand) -> None:
    _tb_hparams(hand)
    hand.click(hand.page.get_by_role("button", name="Sort by"))
    hand.click(hand.page.get_by_role("option", name=re.compile("best_acc")))
    hand.click(hand.page.get_by_role("button", name="Direction"))
    hand.click(hand.page.get_by_role("option", name=re.compile("Descending")))
    hand.page.locator("vaadin-grid-cell-content", has_text="0.79989").first.wait_for()


def _tb_low_rates(hand: Hand) -> None:
    _tb_hparams(hand)
    hand.write(hand.page.get_by_role("textbox", name="Max"), "0.001")
    hand.sees(re.compile("matching session groups: 24"))


def _tb_scatter(hand: Hand) -> None:
    _tb_hparams(hand)
    hand.click(hand.page.get_by_text("SCATTER PLOT MATRIX VIEW"))
    hand.page.locator("circle.data-marker").first.wait_for()


TITLES = [
    "see the runs",
    "the best val/acc that a run ever had",
    "runs with lr <= 0.001",
    "curves of all runs",
    "curves of the three seeds of one setting",
    "means over seeds by lr and width",
    "which runs failed, and since when",
    "in what two runs differ",
    "val/acc over lr",
    "a tag on a run",
]
TRACKLAKE: list[Task | str] = [
    _home, _best, _low_rates, _curves, _seeds, _means, _failed, _difference, _scatter, _tag
]  # fmt: skip
MLFLOW: list[Task | str] = [
    _ml_runs, _ml_last, _ml_low_rates, _ml_charts, _ml_seeds, _ml_means, _ml_failed, _ml_difference, _ml_scatter,
    _ml_tag,
]  # fmt: skip
NONE = "not there"
TENSORBOARD: list[Task | str] = [
    _tb_home, _tb_best, _tb_low_rates, _tb_curves, lambda hand: _tb_runs(hand, WIDE, "lr0.0001-w128-s0"),
    NONE, NONE, NONE, _tb_scatter, NONE,
]  # fmt: skip
REMARKS = {
    ("mlflow", 1): "the last value alone",
    ("mlflow", 2): "as text",
    ("mlflow", 6): "not since when",
    ("tensorboard", 1): "if it was written beside the hparams",
    ("tensorboard", 4): "by names",
    ("tensorboard", 8): "likewise",
}
"""What an answer is not."""
