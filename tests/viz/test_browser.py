"""The app in a real browser: what a visitor sees and does. Needs chromium."""

import pytest

from tests.viz.browsers import in_browser, served

pytestmark = in_browser


@pytest.fixture(scope="module")
def address():
    with served("app.py") as address:
        yield address


def test_visitor_sees_saliency_overlays_and_changes_their_opacity(address, page):
    page.goto(f"{address}/saliency")
    heats = page.locator(".st-key-overlays img.heat")
    heats.nth(2).wait_for()
    assert heats.count() == 3
    assert heats.first.evaluate("image => image.naturalWidth") > 100
    page.get_by_role("slider", name="Heat map opacity").fill("0")
    assert heats.first.evaluate("image => getComputedStyle(image).opacity") == "0"


def test_visitor_looks_closely_at_a_picture_of_the_gallery(address, page):
    page.goto(f"{address}/saliency?view=gallery&limit=100+images")
    first = page.locator(".st-key-gallery figure").first
    number = first.locator("small").inner_text().split(",")[0].removeprefix("number ")
    first.get_by_role("button").press("Enter")  # as whoever has no mouse
    page.locator(".st-key-overlays img.heat").nth(2).wait_for()
    assert page.get_by_role("spinbutton", name="Number, 0 to").input_value() == number


def test_visitor_lassoes_points_and_sees_their_thumbnails(address, page):
    page.goto(f"{address}/embed?method=PCA")
    plot = page.locator(".st-key-embedding .js-plotly-plot .nsewdrag").first
    plot.wait_for()
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    box = plot.bounding_box()
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.05)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=3)
    page.mouse.up()
    thumbnails = page.locator(".st-key-thumbnails img")
    thumbnails.first.wait_for()
    assert thumbnails.count() == 60
    assert page.get_by_text("images selected").is_visible()


def test_pointing_at_the_map_shows_the_image(address, page):
    page.goto(f"{address}/embed?method=PCA")
    plot = page.locator(".st-key-embedding .js-plotly-plot")
    plot.locator(".nsewdrag").first.wait_for()
    x, y = plot.evaluate(
        """gd => {
            const {xaxis, yaxis, _size} = gd._fullLayout, box = gd.getBoundingClientRect(), trace = gd._fullData[0]
            return [box.x + _size.l + xaxis.d2p(trace.x[0]), box.y + _size.t + yaxis.d2p(trace.y[0])]
        }"""
    )
    card = page.locator("#hover-picture-card")
    for _ in range(100):  # the picture's listener comes a moment after the chart
        page.mouse.move(x + 30, y + 30)
        page.mouse.move(x, y, steps=4)
        page.wait_for_timeout(100)
        if card.is_visible():
            break
    assert "label:" in card.inner_text()


def test_link_opens_the_same_view(address, page):
    page.goto(f"{address}/saliency?image=5&class=Bag+(8)")
    page.get_by_text("Grad-CAM for Bag").wait_for()
    page.get_by_text("Residual branches").first.click()
    page.get_by_text("What every branch adds").wait_for()
    page.get_by_text("Saliency").first.click()
    page.get_by_text("Grad-CAM for Bag").wait_for()
    assert "image=5" in page.url
