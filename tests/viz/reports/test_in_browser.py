"""A report in a real browser, opened from a file with the network off. Needs chromium."""

import csv
import io
import json
import re

import pandas as pd
import pytest

from features.progress import finish
from tests.viz.browsers import CHROMIUM, FLAGS, PATIENCE_MS, in_browser
from tests.viz.reports.documents import DATA, HOSTILE, every_part
from viz.reports import LIMIT, html, illustrated

pytestmark = in_browser
A4_WIDTH, A4_HEIGHT = 687, 1016  # pixels between the margins: 182 x 269 mm at 96 an inch


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "a report, with spaces.html"
    path.write_text(html(finish(illustrated(every_part(), LIMIT))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def offline(playwright):
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def opened(offline, file):
    """A function that opens the file, and has seen what went wrong when the test is over."""
    faults, contexts = [], []

    def open_at(width=1440, scheme="light"):
        context = offline.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: check(request.url))
        page.goto(file.as_uri())
        return page

    def check(address):
        if not address.startswith(("data:", "blob:")) and address.partition("#")[0] != file.as_uri():
            faults.append(f"asked for {address}")

    yield open_at
    for context in contexts:
        context.close()
    assert not faults


def unfolded(page):
    """The same page with all figures drawn."""
    page.evaluate("document.querySelectorAll('details.fold').forEach(each => { each.open = true })")
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()
    return page


def for_paper(page):
    """The page as it is printed."""
    page.set_viewport_size({"width": A4_WIDTH, "height": A4_HEIGHT})
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    return page


def test_every_figure_is_drawn_and_every_picture_shown_without_a_network(opened):
    page = unfolded(opened())
    assert page.locator(".plot .bars path").count() == 3 * 2
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth === 28)")
    assert page.locator("h1").inner_text().split() == HOSTILE.split()


def test_what_a_name_would_fetch_or_run_is_refused(opened):
    refused = """address => new Promise(done => {
        addEventListener("securitypolicyviolation", event => done(event.violatedDirective), { once: true });
        const image = new Image(); image.src = address; document.body.append(image);
        setTimeout(() => done("nothing"), 5000);
    })"""
    page = opened()
    silent = page.context.new_page()  # its console tells of what is refused
    silent.goto(page.url)
    assert silent.evaluate(refused, "https://example.org/a.png") == "img-src"
    assert silent.evaluate("() => { document.body.innerHTML += '<b onclick=\"window.ran = 1\">x</b>'; "
                           "document.querySelector('body > b').click(); return window.ran }") is None  # fmt: skip


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_the_page_is_never_wider_than_the_screen(opened, width):
    page = unfolded(opened(width))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for plot in page.locator(".plot").all():
        assert plot.locator(".main-svg").first.bounding_box()["width"] <= width


def test_dark_screens_are_dark_and_paper_is_light(opened):
    page = unfolded(opened(scheme="dark"))
    ink = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 22, 28)"
    assert page.evaluate(ink) == "rgb(213, 221, 229)"
    for_paper(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(ink) == "rgb(43, 56, 67)"
    page.emulate_media(media="screen", color_scheme="light")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(ink) == "rgb(43, 56, 67)"


def test_on_paper_everything_is_unfolded_and_no_figure_is_cut(opened):
    page = for_paper(opened())  # nothing was opened or scrolled to
    assert page.locator("details.fold:not([open])").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= A4_WIDTH
    boxes = page.evaluate(
        "[...document.querySelectorAll('.plot')].map(plot => [plot, plot.querySelector('.main-svg')].map("
        "each => each.getBoundingClientRect()).map(({left, right, height}) => ({left, right, height})))"
    )
    assert len(boxes) == 3
    for plot, drawing in boxes:
        assert plot["left"] <= drawing["left"] + 1
        assert drawing["right"] <= plot["right"] + 1
        assert drawing["right"] <= A4_WIDTH
        assert drawing["height"] <= A4_HEIGHT
    kept = page.evaluate("[...document.querySelectorAll('figure')].map(each => getComputedStyle(each).breakInside)")
    assert kept == ["avoid"] * 3
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.fold:not([open])").count() == 1


def test_it_prints_to_a4_and_is_as_before_when_that_is_done(opened):
    page = unfolded(opened())
    before = [plot.bounding_box() for plot in page.locator(".plot").all()]
    printed = page.pdf(prefer_css_page_size=True)
    boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox \[([\d. ]+)\]", printed)}
    assert {(round(width), round(height)) for _, _, width, height in boxes} == {(595, 842)}
    assert len(re.findall(rb"/Type /Page\b", printed)) >= 2
    assert [plot.bounding_box() for plot in page.locator(".plot").all()] == before


@pytest.mark.parametrize("key", ["table", "alone", "all"])
def test_data_is_handed_over_as_csv_and_json(opened, key):
    page = opened()
    saved = {}
    for kind in ("csv", "json"):
        with page.expect_download() as download:
            page.locator(f'[data-of="{key}"][data-save="{kind}"]').click()
        assert download.value.suggested_filename == f"{key}.{kind}"
        saved[kind] = download.value.path().read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(saved["csv"], newline="")))
    assert rows[0] == ["name", "value"]
    assert [row[0] for row in rows[1:]] == DATA["name"].tolist()
    assert [float(row[1] or "nan") for row in rows[1:]] == pytest.approx(DATA["value"].tolist(), nan_ok=True)
    table = pd.DataFrame(json.loads(saved["json"]))
    assert table["name"].tolist() == DATA["name"].tolist()
    assert table["value"].tolist() == pytest.approx(DATA["value"].tolist(), nan_ok=True)


def test_a_figure_can_be_read_as_a_table(opened):
    page = opened()
    page.locator("#alone details.data summary").click()
    page.locator("#alone details.data tbody tr").nth(len(DATA) - 1).wait_for()  # rows are made once it has unfolded
    assert page.locator("#alone details.data tbody tr").count() == len(DATA)
    assert page.locator("#alone details.data td").first.evaluate("cell => cell.textContent") == HOSTILE


def test_a_link_to_what_is_folded_unfolds_it(opened):
    page = opened()
    assert not page.locator("#fold").evaluate("fold => fold.open")
    page.locator('#table a[href="#fold"]').click()
    page.locator("#fold[open]").wait_for()
    page.locator("#left .main-svg").first.wait_for()


def test_pictures_side_by_side_stay_within_their_tile(opened):
    page = unfolded(opened(390))
    for tile in page.locator(".gallery li").all():
        frame = tile.bounding_box()
        for image in tile.locator("img").all():
            box = image.bounding_box()
            assert box["x"] >= frame["x"]
            assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 0.5
            assert box["width"] > 40
