"""The page as a user acts, in a browser of this machine: skipped where playwright or chromium is not installed."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

import tracklake as tl
from tracklake.ui import serve

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="needs the extra ui-tests (playwright)"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH"),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>{{7*7}}${7*7}"


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> tl.Lake:
    """Twelve runs in two groups; one failed with NaN, one is hostile in all that can be named."""
    folder = tmp_path_factory.mktemp("page") / "lake"
    for i in range(12):
        run = tl.init(
            "p", id=f"run-{i:02d}", group="ab"[i % 2], config={"lr": 0.1 * (1 + i % 3), "seed": i // 6}, dir=folder
        )
        run.define_metric("val/acc", summary="best", goal="max")
        for step in range(30):
            run.log(
                {
                    "val/acc": i / 100 + step / 50,
                    "train/loss": float("nan") if i == 11 and step > 20 else 1 / (1 + step),
                }
            )
        run.finish(exit_code=int(i == 11))
    with tl.init(HOSTILE, id="hostile", name=HOSTILE, group=HOSTILE, tags=[HOSTILE], notes=HOSTILE, dir=folder,
                 config={HOSTILE: HOSTILE, "lr": 0.1}) as run:  # fmt: skip
        run.log({HOSTILE: 1.0, "val/acc": 0.5})
        run.summary[HOSTILE + "2"] = HOSTILE
    return tl.open(folder)


class Visit:
    """One page of a browser, which notes what goes wrong and what is asked of other machines."""

    def __init__(self, chromium, lake: tl.Lake) -> None:
        self.server = serve(lake)
        self.root = self.server.url.split("/?")[0]
        self.context = chromium.new_context(viewport={"width": 1280, "height": 800})
        self.context.set_default_timeout(60_000)  # of a machine with much else to do
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(f"a script ran: {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(self.server.url)

    def open(self, path: str):
        self.page.goto(self.root + path)
        return self.page

    def close(self) -> None:
        self.context.close()
        self.server.close()

    @property
    def elsewhere(self) -> list[str]:
        """What was asked of any other machine."""
        return [url for url in self.requests if not url.startswith((self.root, "data:", "about:", "blob:"))]


@pytest.fixture
def visit(chromium, place) -> Iterator[Visit]:
    visit = Visit(chromium, place)
    yield visit
    visit.close()


def rows(page) -> list[str]:
    """The names in the table from top to bottom."""
    page.locator(".grid-body .grid-row[id]").first.wait_for()
    found = page.eval_on_selector_all(
        ".grid-body .grid-row[id]",
        "rows => rows.map(r => [Number(r.dataset.number), r.querySelector('a').textContent])",
    )
    return [name for _, name in sorted(found)]


def press(page, place, x: float, y: float, *, to: tuple[float, float]) -> None:
    """Press at a share of a place's width and height and move to another; it is looked for each time."""
    for act, (right, down) in ((page.mouse.down, (x, y)), (None, to)):
        box = place.bounding_box()
        place.hover(position={"x": right * box["width"], "y": down * box["height"]})
        if act:
            act()


def drag(page, place, x: float, y: float, *, to: tuple[float, float]) -> None:
    """Press, move and let go."""
    press(page, place, x, y, to=to)
    page.mouse.up()


class Held:
    """Requests of a page that wait until they are let go, and later ones with them: none is held for ever."""

    def __init__(self, page, pattern: str) -> None:
        self.routes: list = []
        self.is_over = False
        page.route(pattern, lambda route: self.take(route))  # noqa: PLW0108 - playwright marks what it is given

    def take(self, route) -> None:
        route.continue_() if self.is_over else self.routes.append(route)

    def let_go(self) -> None:
        self.is_over = True
        for route in self.routes:
            route.continue_()


@contextmanager
def changed_while_pressed(visit: Visit) -> Iterator[None]:
    """Press and change the lake in the block: the browser hears of it before it lets go, and asks nothing till then."""
    page = visit.page
    held = Held(page, "**/api/changes?*")
    while not held.routes:
        page.wait_for_timeout(20)
    yield
    visit.requests.clear()
    with page.expect_response(lambda answer: "/api/changes" in answer.url and answer.json()["changed"]):
        held.let_go()
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    assert [url for url in visit.requests if "/api/changes" not in url] == []  # it may be time to look again
    page.mouse.up()


PAGES = {
    "/runs": ".grid-row[id]",
    "/runs?group=config.lr&col=summary.val/acc.max": "table.sheet tbody tr",
    "/run/run-03": ".uplot",
    "/run/hostile": "table.sheet",
    "/charts": ".uplot",
    "/charts?by=group&metric=acc": ".uplot",
    "/scatter?color=group": "canvas.over",
    "/parallel?axis=config.lr&axis=config.seed": "canvas.over",
    "/compare?metric=val/acc&by=group": "table.sheet",
    "/sweep?metric=val/acc": "table.sheet",
    "/reports": "main p",
    "/queries?name=leaderboard&p.metric=val/acc&p.goal=max": "table.sheet",
}


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_sound(visit, path):
    """It shows what it is for, complains of nothing, asks no other machine, runs nothing hostile; axe is content."""
    page = visit.open(path)
    page.locator(PAGES[path]).first.wait_for()
    page.wait_for_load_state("networkidle")
    assert visit.problems == []
    assert visit.elsewhere == []
    assert serious(page) == []


def serious(page) -> list[str]:
    """Return the serious violations that axe finds, run in the page's own world."""
    from axe_core_python import sync_playwright

    script = Path(sync_playwright.__file__).with_name("axe.min.js").read_text()
    page.evaluate(script)  # as the debugger does: the policy of the page is not asked
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:120]}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def test_sorting_and_filtering_live_in_the_address(visit):
    """A click sorts all runs, a filter stays in the address, back takes it away, and reload shows the same."""
    page = visit.open("/runs?col=summary.val/acc.max&col=config.lr")
    page.get_by_role("button", name="val/acc.max").click()
    page.locator("[role=columnheader][aria-sort=descending]").wait_for()
    assert rows(page)[0] == "run-11"
    page.get_by_label("Filter in SQL").fill("config.lr < 0.15 AND state = 'finished'")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("5 runs").wait_for()
    sorted_rows = rows(page)
    assert sorted_rows[0] == "run-09"
    page.reload()
    page.get_by_role("status").get_by_text("5 runs").wait_for()
    assert rows(page) == sorted_rows
    page.go_back()
    page.get_by_role("status").get_by_text("13 runs").wait_for()


def test_a_wrong_filter_says_what_was_meant(visit):
    """The error stands under the filter, with the nearest name, and the page goes on."""
    page = visit.open("/runs?where=config.lrr+%3E+1")
    page.get_by_text("did you mean 'config.lr'").wait_for()
    page.get_by_label("Filter in SQL").fill("")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("13 runs").wait_for()


def test_the_keyboard_alone(visit):
    """j and k move, x selects, / searches, Enter opens, ? shows the keys, Escape closes."""
    page = visit.open("/runs?order=%2Bname")
    rows(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.get_by_text("1 run selected").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("run-0")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("10 runs").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator("h1", has_text="run-00").wait_for()


def test_shift_selects_a_range(visit):
    """A click and a shift+click select all rows between, and the charts are of just these."""
    page = visit.open("/runs?order=%2Bname&q=run-")
    rows(page)
    page.get_by_label("select run-01").click()
    page.locator("#row-4 .grid-cell").nth(1).click(modifiers=["Shift"])
    page.get_by_text("4 runs selected").wait_for()
    page.reload()
    page.get_by_text("4 runs selected").wait_for()
    page.get_by_role("link", name="Charts").last.click()
    page.locator(".uplot").first.wait_for()
    assert page.locator(".legend .item").count() == 4


def test_columns_of_any_statistic(visit):
    """A statistic that nobody defined is two clicks away; the first click on a maximum has the largest on top."""
    page = visit.open("/runs?col=config.lr&col=summary.train/loss.max")
    rows(page)
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Find a column").fill("val/acc")
    page.locator("label[title='summary.val/acc.mean']").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="val/acc.mean").wait_for()
    assert "val%2Facc.mean" in page.url
    page.get_by_role("button", name="train/loss.max").click()
    page.locator("[role=columnheader][aria-sort=descending]", has_text="train/loss.max").wait_for()


def test_groups_open_into_their_runs(visit):
    """A group has its mean and interval, and a click shows its runs."""
    page = visit.open("/runs?group=group&col=summary.val/acc.max")
    page.get_by_role("button", name="val/acc.max").click()
    page.reload()
    page.locator("th[aria-sort=descending]", has_text="val/acc.max").wait_for()
    page.get_by_role("button", name="a", exact=True).click()
    page.get_by_role("status").get_by_text("6 runs").wait_for()
    assert rows(page)[0] == "run-10"


def test_a_live_run_moves_its_row(chromium, tmp_path):
    """Another process logs, and the table shows it without a reload; so does a new run. How soon: see the benchmark."""
    with tl.init("p", id="first", dir=tmp_path / "lake") as run:
        run.log({"loss": 0.5})
        visit = Visit(chromium, tl.open(tmp_path / "lake"))
        page = visit.open("/runs?col=summary.loss")
        page.get_by_role("gridcell", name="0.5", exact=True).wait_for()
        run.log({"loss": 0.25})
        page.get_by_role("gridcell", name="0.25", exact=True).wait_for()
        with tl.init("p", id="second", dir=tmp_path / "lake", reinit="create_new") as other:
            other.log({"loss": 4.0})
            page.get_by_role("gridcell", name="4", exact=True).wait_for()
        visit.close()
        assert visit.problems == []


def test_a_zoomed_chart_stays_zoomed_while_a_run_logs(chromium, tmp_path):
    """An update does not throw a selection of x away."""
    with tl.init("p", id="first", dir=tmp_path / "lake") as run:
        for step in range(100):
            run.log({"loss": 1 / (1 + step)})
        visit = Visit(chromium, tl.open(tmp_path / "lake"))
        page = visit.open("/charts")
        page.locator(".note", has_text="every point (100)").wait_for()
        drag(page, page.locator(".u-over"), 0.1, 0.2, to=(0.4, 0.3))
        page.get_by_role("button", name="⤢ all").wait_for()
        address = page.url
        page.reload()
        page.locator(".note", has_text="every point").wait_for()
        before = page.locator(".note").inner_text()
        for loss in (0.001, 0.002):  # when the second curve is asked for, the first is drawn
            with page.expect_response("**/api/curves?*"):
                run.log({"loss": loss})
        assert page.get_by_role("button", name="⤢ all").count() == 1
        assert page.locator(".note").inner_text().split("·")[0] == before.split("·")[0]
        assert page.url == address
        visit.close()


def test_what_is_dragged_outlives_an_update(chromium, tmp_path):
    """A run logs while an axis, a cloud, a chart is dragged over: what was begun is finished, then all is shown."""
    runs = [tl.init("p", id=name, config={"lr": lr}, dir=tmp_path / "lake", reinit="create_new")
            for name, lr in (("first", 0.1), ("second", 0.2))]  # fmt: skip
    for run in runs:
        for step in range(10):
            run.log({"loss": 1 / (1 + step)})
    visit = Visit(chromium, tl.open(tmp_path / "lake"))

    def dragged(path: str, selector: str, x: float, *, to: float):
        page = visit.open(path)
        page.locator(selector).first.wait_for()
        page.wait_for_load_state("networkidle")
        with changed_while_pressed(visit):
            press(page, page.locator(selector).first, x, 0.9, to=(to, 0.3))
            runs.append(tl.init("p", config={"lr": 0.3}, dir=tmp_path / "lake", reinit="create_new"))
            runs[-1].log({"loss": 0.5})
        return page

    page = dragged("/parallel?axis=config.lr&color=summary.loss", "canvas.over", 70 / 1252, to=70 / 1252)
    page.locator(".message code", has_text='"config.lr" BETWEEN').wait_for()
    page.get_by_text("of 3 selected").wait_for()
    page = dragged("/scatter?x=config.lr&y=summary.loss", "canvas.over", 0.2, to=0.5)
    page.locator(".message code", has_text='"config.lr" BETWEEN').wait_for()
    page.get_by_text("of 4 selected").wait_for()
    page = dragged("/charts", ".u-over", 0.1, to=0.5)
    page.get_by_role("button", name="⤢ all").wait_for()
    page.locator(".legend .item").nth(4).wait_for()
    for run in runs:
        run.finish()
    assert visit.problems == []
    visit.close()


def test_what_is_clicked_stays_under_the_pointer(chromium, tmp_path):
    """A run that moves up in the table while a row is pressed does not take the click."""
    with tl.init("p", id="first", dir=tmp_path / "lake") as run:
        run.log({"loss": 0.5})
        visit = Visit(chromium, tl.open(tmp_path / "lake"))
        page = visit.open("/runs?order=%2Bsummary.loss&col=summary.loss")
        rows(page)
        with changed_while_pressed(visit):
            page.get_by_role("link", name="first").hover()
            page.mouse.down()
            with tl.init("p", id="second", dir=tmp_path / "lake", reinit="create_new") as other:
                other.log({"loss": 0.1})
        page.locator("h1", has_text="first").wait_for()
        visit.close()


def test_a_comparison_of_live_runs_is_not_asked_over_and_over(chromium, tmp_path):
    """While one answer is on its way no other is asked for, and what stands there is not dimmed; then it is renewed."""
    runs = [tl.init("p", group=group, dir=tmp_path / "lake", reinit="create_new") for group in ("a", "a", "b", "b")]
    for i, run in enumerate(runs):
        run.log({"loss": 1.0 + i})
    visit = Visit(chromium, tl.open(tmp_path / "lake"))
    page = visit.open("/compare?metric=loss&by=group&goal=min")
    page.locator("table.sheet", has_text="1.50").wait_for()
    held = Held(page, "**/api/compare?*")
    for loss in (0.9, 0.5, 0.24):
        with page.expect_response(lambda answer: "/api/changes" in answer.url and answer.json()["changed"]):
            runs[0].log({"loss": loss})
    assert page.locator(".waiting").count() == 0
    while not held.routes:
        page.wait_for_timeout(20)
    assert len(held.routes) == 1
    held.let_go()
    page.get_by_role("cell", name="1.1", exact=True).wait_for()
    for run in runs:
        run.finish()
    visit.close()


def test_edits_are_shown_at_once(chromium, tmp_path):
    """Tags, name, notes and a summary value are set in the page, and Python reads them."""
    with tl.init("p", id="first", dir=tmp_path / "lake") as run:
        run.log({"loss": 0.5})
    visit = Visit(chromium, tl.open(tmp_path / "lake"))
    page = visit.open("/run/first")
    page.get_by_label("Add a tag").fill("good")
    page.keyboard.press("Enter")
    page.locator(".tag", has_text="good").wait_for()
    page.get_by_role("button", name="write notes (Markdown)").click()
    page.get_by_label("notes").last.fill("**bold** <b>not</b>")
    page.get_by_role("button", name="Save").click()
    page.locator(".notes strong", has_text="bold").wait_for()
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("dialog").get_by_label("name").fill("renamed")
    page.get_by_role("button", name="Save").click()
    page.locator("h1", has_text="renamed").wait_for()
    page.get_by_role("button", name="add a value").click()
    page.get_by_label("key", exact=True).fill("test_acc")
    page.get_by_label("value", exact=True).fill("0.75")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("set by hand").wait_for()
    visit.close()
    recorded = tl.open(tmp_path / "lake").run("first")
    assert (recorded.tags, recorded.name, recorded.facts["notes"]) == (["good"], "renamed", "**bold** <b>not</b>")
    assert recorded.summary["test_acc"] == 0.75
    assert visit.problems == []


def test_a_brush_is_a_filter(visit):
    """A rectangle over the cloud is shown as SQL, and gives the same runs in the table."""
    page = visit.open("/scatter?x=config.lr&y=summary.val/acc.max&where=state+%3D+%27finished%27")
    drag(page, page.locator("canvas.over"), 0.07, 0.03, to=(0.3, 0.9))
    page.locator(".message code", has_text='"config.lr" BETWEEN').wait_for()
    selected = page.locator(".message .strong").inner_text()
    assert selected == "4 runs of 12 selected:"
    page.reload()
    page.locator(".message .strong", has_text=selected).wait_for()
    page.get_by_role("link", name="Show in the table").click()
    page.get_by_role("status").get_by_text("4 runs", exact=True).wait_for()


def test_brushes_on_axes_are_a_filter_that_an_address_holds(visit):
    """Two axes are brushed, a reload shows the same runs, back takes the second brush away. No brush asks anything."""
    page = visit.open("/parallel?axis=config.lr&axis=config.seed&color=summary.val/acc.max")
    canvas = page.locator("canvas.over")
    canvas.wait_for()
    visit.requests.clear()
    for share, name in ((70 / 1252, "config.lr"), (0.5, "config.seed")):
        drag(page, canvas, share, 0.95, to=(share, 0.6))
        page.locator(".message code", has_text=f'"{name}" BETWEEN').wait_for()
    assert [url for url in visit.requests if "/api/values" in url] == []
    both = page.locator(".message").inner_text()
    page.reload()
    page.locator(".message code", has_text='"config.seed" BETWEEN').wait_for()
    assert page.locator(".message").inner_text() == both
    page.go_back()
    page.locator(".message code", has_text='"config.seed" BETWEEN').wait_for(state="detached")
    assert '"config.lr" BETWEEN' in page.locator(".message code").inner_text()


def test_sql_is_asked_and_downloaded(visit):
    """A text gives a table whose address holds it, an error points at the text, and the answer is a file."""
    page = visit.open("/queries")
    page.get_by_label("SQL").fill("SELECT run_id, state FROM runs ORDER BY 1 LIMIT 3")
    page.get_by_role("button", name="Ask").first.click()
    page.get_by_text("3 rows").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert Path(download.value.path()).read_text().splitlines()[0] == "run_id,state"
    page.get_by_label("SQL").fill("SELECT run_i FROM runs")
    page.get_by_role("button", name="Ask").first.click()
    page.get_by_text("did you mean 'run_id'").wait_for()


def test_a_report_is_written_with_a_preview(visit):
    """A reference that is unresolved is told while it is written; saved, the report is shown in a frame."""
    page = visit.open("/reports?name=found&edit=1")
    page.get_by_label("The report in Markdown").fill("# ${run:run-03:config.lrr}")
    page.get_by_text("did you mean 'config.lr'").wait_for()
    page.get_by_label("The report in Markdown").fill("# lr ${run:run-03:config.lr}, ${run:hostile:name}")
    page.get_by_text("everything is resolved").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Saved").wait_for()
    page.get_by_role("button", name="Done").click()
    page.frame_locator("iframe").locator("h1", has_text="lr 0.1, <img").wait_for()
    assert [problem for problem in visit.problems if "script ran" in problem] == []


def test_an_exported_report_opens_from_a_file(chromium, place, tmp_path):
    """It asks for nothing, runs nothing, and shows values and pictures."""
    (tmp_path / "r.md").write_text('# ${run:hostile:name}\n\n```plot\ncurves("val/acc", by="group")\n```\n')
    place.report(tmp_path / "r.md", out=tmp_path / "r.html")
    page = chromium.new_page()
    asked: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: asked.append(request.url[:40]))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    page.on("console", lambda message: problems.append(message.text))
    page.goto((tmp_path / "r.html").as_uri())
    assert HOSTILE in page.locator("h1").inner_text()
    assert page.locator("figure img").evaluate("image => image.naturalWidth") > 100
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert problems == []
    page.close()


def test_a_report_is_light_dark_and_printed(chromium, place, tmp_path):
    """It follows the colours of the reader, its pictures turned over in the dark; on paper it is always light."""
    (tmp_path / "r.md").write_text('# R\n\n```plot\ncurves("val/acc")\n```\n')
    place.report(tmp_path / "r.md", out=tmp_path / "r.html")
    page = chromium.new_page()
    page.goto((tmp_path / "r.html").as_uri())
    look = "() => [document.body, document.querySelector('figure img')].map((e) => getComputedStyle(e))"
    look = f"() => {{ const [body, image] = ({look})(); return [body.backgroundColor, image.filter !== 'none']; }}"
    page.emulate_media(color_scheme="light")
    assert page.evaluate(look) == ["rgb(255, 255, 255)", False]
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(look) == ["rgb(21, 25, 29)", True]
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate(look) == ["rgb(255, 255, 255)", False]
    page.close()


def test_an_unknown_run_and_page_are_told(visit):
    """The page says what is wrong, and goes on."""
    page = visit.open("/run/run-99")
    page.get_by_role("alert").get_by_text("unknown run 'run-99'; did you mean").wait_for()
    page.get_by_role("link", name="Runs").click()
    assert rows(page)
    page.goto(visit.root + "/runs?lake=nowhere")
    page.get_by_role("alert").get_by_text("unknown lake 'nowhere'").wait_for()


WRONG = {
    "/runs?col=config.nope": "unknown column 'config.nope'",
    "/runs?order=-config.nope": "unknown column 'config.nope'",
    "/runs?group=config.nope": "unknown column 'config.nope'",
    "/scatter?x=config.nope": "unknown column 'config.nope'",
    "/parallel?axis=config.nope": "unknown column 'config.nope'",
    "/charts?by=config.nope": "unknown column 'config.nope'",
    "/charts?where=config.lr+<": "config.lr <",
    "/compare?metric=nope": "unknown metric 'nope'",
    "/sweep?metric=nope": "unknown metric 'nope'",
    "/run/run-03?diff=run-99": "unknown run 'run-99'",
    "/nowhere": "there is no page /nowhere",
    "/run/%ff": "unknown run '%ff'",
}


def test_an_address_that_is_wrong_is_told_on_every_page(visit):
    """The page names what is not there, and goes on: the runs are a click away."""
    for path, words in WRONG.items():
        page = visit.open(path)
        page.get_by_text(words).first.wait_for()
    page.get_by_role("link", name="tracklake").click()
    assert rows(page)


def test_an_empty_lake_waits_for_its_first_run(chromium, tmp_path):
    """It says so, every page stands, and the run is there as soon as it logs."""
    visit = Visit(chromium, tl.open(tmp_path / "lake", create=True))
    for path in ("/charts", "/scatter", "/parallel", "/compare", "/sweep", "/reports", "/queries"):
        visit.open(path).locator("main > *").first.wait_for()
    page = visit.open("/runs")
    page.get_by_text("0 runs: one stands here as soon as it logs").wait_for()
    with tl.init("p", id="first", dir=tmp_path / "lake") as run:
        run.log({"loss": 1.0})
    page.get_by_role("link", name="first").wait_for()
    assert visit.problems == []
    visit.close()


def test_long_names_keep_both_ends(chromium, tmp_path):
    """Where there is no room the middle goes: names of runs differ at their ends."""
    name = "a-very-long-name-of-a-model-with-many-layers-and-its-data-seed-17"
    with tl.init("p", id="long", name=name, dir=tmp_path / "lake") as run:
        run.log({"loss": 1.0})
    visit = Visit(chromium, tl.open(tmp_path / "lake"))
    page = visit.open("/runs")
    assert rows(page) == [name]
    link = page.locator(".grid-body a").first
    cell, start = link.locator("..").bounding_box(), link.locator("span").bounding_box()
    room = page.evaluate(
        "() => { const r = document.createRange(); const a = document.querySelector('.grid-body a');"
        " r.selectNodeContents(a.lastChild); return r.getBoundingClientRect().right; }"
    )
    assert start["x"] + start["width"] < room <= cell["x"] + cell["width"]
    visit.close()


def hostile_addresses() -> list[str]:
    """Addresses that put a hostile name in every place where a page shows one."""
    name = quote(HOSTILE, safe="")
    paths = [
        f"/scatter?x=config.lr&y=summary.{name}&color=config.{name}",
        f"/parallel?axis=config.lr&axis=config.{name}",
    ]
    paths += [f"/charts?by=config.{name}&metric=acc", "/charts?run=hostile", f"/runs?group=config.{name}"]
    paths += [
        f"/runs?q={name}&base=hostile&pin=hostile&col=config.{name}",
        f"/runs?project={name}",
        f"/runs?where={name}",
    ]
    paths += [f"/run/{name}", "/run/run-03?diff=hostile", f"/run/run-03?diff={name}", f"/reports?name={name}"]
    paths += [f"/compare?metric=val/acc&by=config.{name}", f"/compare?metric={name}&by=group", f"/sweep?metric={name}"]
    paths += [f"/queries?sql={quote('SELECT * FROM runs')}", f"/queries?name=leaderboard&p.metric={name}&p.goal=max"]
    return [*paths, f"/runs?lake={name}", f"/{name}"]


@pytest.mark.long
def test_hostile_names_run_nothing_anywhere(visit):
    """A name, group, tag, note, key, value, filter, address: each is a text wherever it is shown."""
    page = visit.page
    for path in hostile_addresses():
        page.goto(visit.root + path)
        page.wait_for_load_state("networkidle")
        assert page.locator("img[src=x]").count() == 0, path
    page.goto(visit.root + "/runs?sel=hostile")
    rows(page)
    for button in ("Columns", "Group", "Views", "Edit…", "Copy view"):
        page.get_by_role("button", name=button, exact=button != "Columns").first.click()
        page.get_by_role("dialog").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="detached")
    assert [problem for problem in visit.problems if "script ran" in problem or "Content Security" in problem] == []
    assert visit.elsewhere == []


def test_a_lake_that_disappears_while_the_page_is_open(chromium, tmp_path):
    """The page says so and keeps what it shows; when the lake is back, it takes the new run in by itself."""
    folder = tmp_path / "lake"
    with tl.init("p", id="first", dir=folder) as run:
        run.log({"loss": 0.5})
    visit = Visit(chromium, tl.open(folder))
    page = visit.open("/runs")
    rows(page)
    folder.rename(tmp_path / "away")
    page.get_by_role("alert").get_by_text("is gone").wait_for()
    assert rows(page) == ["first"]
    (tmp_path / "away").rename(folder)
    with tl.init("p", id="second", dir=folder) as run:
        run.log({"loss": 0.25})
    page.get_by_role("link", name="second").wait_for()
    page.get_by_role("alert").get_by_text("is gone").wait_for(state="detached")
    visit.close()


def test_a_dialog_keeps_what_was_typed(visit):
    """A value that is refused is told in the dialog, which stays open."""
    page = visit.open("/run/run-03")
    page.get_by_role("button", name="add a value").click()
    page.get_by_label("key", exact=True).fill("val/acc.max")
    page.get_by_label("value", exact=True).fill("NaN")
    page.route("**/api/edit", lambda route: route.fulfill(status=400, json={"error": "the disk is full"}))
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").get_by_text("the disk is full").wait_for()
    assert page.get_by_label("key", exact=True).input_value() == "val/acc.max"


def test_an_idle_minute_is_polls_and_a_hidden_one_nothing(visit):
    """Once a second while it can be seen, never while it is hidden; seen again, at once. The clock is the test's."""
    visit.page.clock.install()
    page = visit.open("/runs")
    page.clock.run_for(1_000)
    rows(page)
    page.wait_for_load_state("networkidle")
    visit.requests.clear()
    for _ in range(60):
        with page.expect_response("**/api/changes?*"):
            page.clock.run_for(1_000)
    assert {url.split("?")[0] for url in visit.requests} == {f"{visit.root}/api/changes"}
    assert len(visit.requests) <= 61
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    visit.requests.clear()
    page.clock.run_for(60_000)
    assert visit.requests == []
    with page.expect_response("**/api/changes?*"):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_a_server_that_ends_is_told(chromium, place):
    """The page says so, and keeps what it shows."""
    visit = Visit(chromium, place)
    page = visit.open("/runs")
    rows(page)
    visit.server.close()
    page.get_by_role("alert").get_by_text(re.compile("does not answer")).wait_for()
    assert rows(page)
    visit.context.close()


def test_many_rows_are_few_nodes(chromium, tmp_path):
    """Of 20,000 runs some fifty rows are in the document, and the last is there at once."""
    import polars as pl

    lake = tl.open(tmp_path / "lake", create=True)
    table = pl.DataFrame(
        {"id": [f"r{i:05d}" for i in range(20_000)], "step": 0, "loss": [i / 7 for i in range(20_000)]}
    )
    lake.import_table(table, run_columns=["id"], step="step", metrics={"loss": "loss"})
    visit = Visit(chromium, lake)
    page = visit.open("/runs?order=%2Bname")
    rows(page)
    assert page.locator(".grid-body .grid-row").count() < 80
    page.keyboard.press("j")
    page.keyboard.press("End")
    page.get_by_role("link", name="r19999").wait_for()
    assert page.evaluate("() => document.querySelectorAll('*').length") < 2_000
    visit.close()


def test_the_page_is_light():
    """Own and vendored JavaScript together stay below 200 kB, and every vendored file has its licence beside it."""
    folder = Path(tl.__file__).parent / "ui" / "static"
    assert sum(path.stat().st_size for path in folder.rglob("*.js")) <= 200_000
    assert (folder / "vendor" / "lit-html.LICENSE").exists()
    assert (folder / "vendor" / "uPlot.LICENSE").exists()
