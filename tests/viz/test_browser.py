"""The app in a real browser: what a visitor sees and does. Needs chromium."""

import re

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


def test_visitor_opens_a_channel_by_its_top_patch_and_selects_what_excites_it(address, page):
    from playwright.sync_api import expect  # not everybody has it

    page.goto(f"{address}/channels?layer=layer1.1&limit=100+images")
    patch = page.locator(".st-key-patches .grid button").first
    number = patch.inner_text().split(":")[0]
    patch.click()
    tiles = page.locator(".tiles button")
    tiles.nth(15).wait_for()
    expect(page.get_by_role("spinbutton", name="Channel, 0 to 15")).to_have_value(number)
    picture, box = (tiles.first.locator(part).bounding_box() for part in (".whole", ".box"))
    assert picture["x"] <= box["x"]
    assert box["x"] + box["width"] <= picture["x"] + picture["width"] + 0.5
    assert box["width"] <= 11 / 28 * picture["width"] + 0.5  # the receptive field, drawn to scale
    tiles.nth(2).press("Enter")  # as whoever has no mouse
    expect(tiles.nth(2)).to_have_attribute("aria-pressed", "true")
    page.get_by_text("1 selected", exact=True).wait_for()
    page.get_by_role("button", name="All maps of the image clicked last").click()
    page.get_by_role("spinbutton", name="Number, 0 to 99").wait_for()


def stroke(page, surface, corners):
    box = surface.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=3)
    page.mouse.up()


def test_visitor_lassoes_points_and_scrolls_through_their_pictures(address, page):
    from playwright.sync_api import expect  # not everybody has it

    page.goto(f"{address}/embed?map=PCA")
    page.locator(".point-map[data-drawn=whole]").wait_for()
    surface = page.locator(".point-map .surface").last
    stroke(page, surface, [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.05)])
    pictures = page.locator(".st-key-thumbnails .grid button")
    pictures.first.wait_for()
    page.get_by_text("1,000 of 1,000 images selected").wait_for()
    assert pictures.count() < 100  # those in sight alone
    grid = page.locator(".st-key-thumbnails .grid")
    grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight }")
    last = page.locator(".st-key-thumbnails .grid button").last
    last.wait_for()
    # Waited for, since the page runs once more when the map's pictures have come.
    expect(last.locator(".picture")).to_have_css("background-image", re.compile(r"url\("))
    assert "selection=" in page.url
    last.click()
    page.get_by_text("Nearest in each stage's features").wait_for()


def test_maps_and_their_legend_end_within_the_window(address, page):
    page.set_viewport_size({"width": 1440, "height": 1000})  # where a column of the page is as narrow as a phone
    page.goto(f"{address}/embed?map=PCA")
    page.locator(".point-map[data-drawn=whole]").wait_for()
    frame = page.locator(".point-map").bounding_box()
    assert frame["y"] + frame["height"] <= 1000


def test_a_selection_is_carried_to_the_other_pages(address, page):
    page.goto(f"{address}/embed?map=PCA")
    page.locator(".point-map[data-drawn=whole]").wait_for()
    page.locator(".entries button").filter(has_text="Bag").click()
    page.get_by_text("100 of 1,000 images selected").wait_for()
    page.get_by_text("100 selected", exact=True).click()
    page.get_by_role("link", name="Saliency").click()
    page.get_by_text("Number, 0 to 99").wait_for()


def test_a_click_on_a_cell_of_the_confusion_matrix_selects_its_images(address, page):
    page.goto(f"{address}/evaluate")
    drag = page.locator(".st-key-confusion .nsewdrag").first
    drag.wait_for()
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_function(  # until then a click is heard by nobody
        "() => document.querySelector('.st-key-confusion .js-plotly-plot')?._fullLayout?._hoverlayer"
    )
    box = drag.bounding_box()
    selected = page.get_by_text(re.compile("images? selected"))
    for _ in range(20):  # the figure may be drawn anew under the pointer
        page.mouse.click(box["x"] + 0.05 * box["width"], box["y"] + 0.65 * box["height"])
        page.wait_for_timeout(300)
        if selected.count():
            break
    selected.first.wait_for()
    assert "selection=" in page.url
    page.locator(".st-key-selected-images img").first.wait_for()


def test_link_opens_the_same_view(address, page):
    page.goto(f"{address}/saliency?image=5&class=Bag+(8)")
    page.get_by_text("Grad-CAM for Bag").wait_for()
    page.get_by_text("Residual branches").first.click()
    page.get_by_text("What every branch adds").wait_for()
    page.get_by_text("Saliency").first.click()
    page.get_by_text("Grad-CAM for Bag").wait_for()
    assert "image=5" in page.url
