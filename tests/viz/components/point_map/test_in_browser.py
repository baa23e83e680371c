"""The map of points as a visitor sees and uses it. Needs chromium."""

import io
import re
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from tests.viz.browsers import CHROMIUM, FLAGS, NO_WEBGL, PATIENCE_MS, in_browser, served

pytestmark = in_browser

RED, BLUE = (255, 0, 0), (0, 0, 255)
LEFT, RIGHT = ((0.02, 0.1), (0.48, 0.1), (0.48, 0.9), (0.02, 0.9)), ((0.52, 0.1), (0.98, 0.1), (0.98, 0.9), (0.52, 0.9))


@pytest.fixture(scope="module")
def address():
    with served("tests/viz/components/point_map/page.py") as address:
        yield address


def opened(page, address, points=200, panels=1):
    """The page with its map drawn; returns what takes the pointer on the first map."""
    page.goto(f"{address}/?points={points}&panels={panels}")
    page.locator(".point-map[data-drawn=whole]").wait_for()
    return page.locator(".point-map .surface").first


def pixels(page, surface, colour):
    """How many pixels of a map are nearly of this colour, in its left and its right half."""
    image = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=surface.bounding_box()))).convert("RGB")).astype(int)
    near = np.abs(image - colour).max(axis=2) < 90  # points are a little transparent
    middle = near.shape[1] // 2
    return int(near[:, :middle].sum()), int(near[:, middle:].sum())


def stroke(page, surface, corners, key=None):
    box = surface.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    if key:
        page.keyboard.down(key)
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    if key:
        page.keyboard.up(key)


def is_ours(response):
    """Whether it is of what the page has put there, not one of Streamlit's fonts."""
    return "/media/" in response.url and "/static/" not in response.url


def answered(page, text):
    page.locator(".st-key-answer").get_by_text(text).wait_for()


def until(page, test):
    for _ in range(100):
        if test():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come about")


def test_points_are_drawn_in_their_colours_at_their_places(address, page):
    surface = opened(page, address)
    red, blue = pixels(page, surface, RED), pixels(page, surface, BLUE)
    assert red[0] > 500
    assert blue[1] > 500
    assert red[1] == blue[0] == 0
    legend = page.locator(".entries button")
    assert [" ".join(text.split()) for text in legend.all_inner_texts()] == ["left 100", "right 100", "nowhere 0"]
    label = surface.get_attribute("aria-label")
    assert label.startswith("Panel 0: 200 points, coloured by side. trust 0.0")


def test_lasso_selects_shift_adds_control_takes_away_and_escape_clears(address, page):
    surface = opened(page, address)
    stroke(page, surface, LEFT)
    answered(page, "100 chosen, polygon replace p0")
    until(page, lambda: not sum(pixels(page, surface, BLUE)))
    assert pixels(page, surface, RED)[0] > 500
    assert page.locator(".status").inner_text() == "200 points, 100 selected"
    page.keyboard.press("b")
    stroke(page, surface, RIGHT[::2], "Shift")
    answered(page, "200 chosen, polygon add p0")
    until(page, lambda: pixels(page, surface, BLUE)[1] > 500)
    stroke(page, surface, LEFT[::2], "Control")
    answered(page, "100 chosen, polygon remove p0")
    until(page, lambda: not sum(pixels(page, surface, RED)))
    page.keyboard.press("Escape")
    answered(page, "0 chosen, clear replace")
    until(page, lambda: pixels(page, surface, RED)[0] > 500)


def test_a_class_of_the_legend_is_selected_with_the_keyboard(address, page):
    opened(page, address)
    page.locator(".entries button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    answered(page, "100 chosen, category replace -1 1")
    page.locator(".entries button").first.click(modifiers=["Shift"])
    answered(page, "200 chosen, category add -1 0")
    until(page, lambda: page.locator(".entries button").first.inner_text().split() == ["left", "100", "/", "100"])


def test_pointing_brings_up_the_point_and_a_click_selects_it(address, page):
    surface = opened(page, address)
    box = surface.bounding_box()
    scale = 0.93 * box["width"] / 2.4  # the widest of the points: from -1.2 to 1.2, nearly
    x, y = box["x"] + box["width"] / 2 - scale, box["y"] + box["height"] / 2
    card = page.locator(".card")
    for right in range(-12, 13, 2):
        page.mouse.move(x + right, y)
        page.wait_for_timeout(60)
        if card.is_visible():
            break
    number = int(re.search(r"point (\d+)\nside: left", card.inner_text())[1])
    page.mouse.down()
    page.mouse.up()
    answered(page, f"1 chosen, point replace p0 {number}")


def test_the_map_is_used_with_the_keyboard_alone(address, page):
    surface = opened(page, address)
    surface.focus()
    for _ in range(2):
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
    card = page.locator(".card")
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(80)
        if card.is_visible():
            break
    number = int(re.search(r"point (\d+)\nside: left", card.inner_text())[1])
    page.keyboard.press("Enter")
    answered(page, f"1 chosen, point replace p0 {number}")


def test_keys_choose_tools_and_do_not_reach_the_page(address, page):
    surface = opened(page, address)
    surface.hover()
    for key, tool in (("b", "box"), ("v", "pan"), ("l", "lasso")):
        page.keyboard.press(key)
        assert page.locator(f".tools .{tool}").get_attribute("aria-pressed") == "true"
        assert page.locator('.tools .group:first-child [aria-pressed="true"]').count() == 1
    stroke(page, surface, LEFT)
    answered(page, "100 chosen")
    page.keyboard.press("v")
    stroke(page, surface, ((0.5, 0.5), (0.9, 0.5)))
    until(page, lambda: pixels(page, surface, RED)[1] > 500)
    page.keyboard.press("r")
    until(page, lambda: not pixels(page, surface, RED)[1])


def test_what_has_not_changed_is_not_sent_again(address, page):
    points = 20_000
    got, frames = [], []
    page.on("response", lambda response: got.append(response) if is_ours(response) else None)
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(len(frame))))
    surface = opened(page, address, points)
    sizes = [int(response.headers.get("content-length", 0)) for response in got]
    assert 8 * points in sizes  # x and y of float32
    numbers = [response for response in got if "javascript" not in response.headers["content-type"]]
    assert sum(int(each.headers.get("content-length", 0)) for each in numbers) < 12 * points
    got.clear()
    frames.clear()
    page.get_by_text("by number").click()
    until(page, lambda: page.locator(".ramp").count() == 1)
    assert sum(len(response.body()) for response in got) < 1.1 * points  # one byte a point, and the legend
    assert sum(frames) < 20_000
    got.clear()
    stroke(page, surface, LEFT)
    answered(page, "10000 chosen")
    until(page, lambda: "selected" in page.locator(".status").inner_text())
    assert sum(len(response.body()) for response in got) == points / 8  # one bit a point


def test_all_panels_show_one_selection_and_one_becomes_large(address, page):
    surface = opened(page, address, panels=3)
    surfaces = page.locator(".point-map .surface")
    assert surfaces.count() == 3
    stroke(page, surface, LEFT)
    answered(page, "100 chosen, polygon replace p0")
    # The second panel is the first one turned round.
    until(page, lambda: pixels(page, surfaces.nth(1), RED)[1] > 100)
    assert not sum(pixels(page, surfaces.nth(1), BLUE))
    page.get_by_role("button", name="Show this map large").nth(1).click()
    large = page.locator(".large .surface")
    assert page.locator(".large .title").inner_text() == "Panel 1"
    until(page, lambda: pixels(page, large, RED)[1] > 500)
    page.get_by_role("slider", name="Depth").fill("2")
    assert page.locator(".large .title").inner_text() == "Panel 2"
    until(page, lambda: pixels(page, large, RED)[0] > 500)


def test_playing_moves_the_points_through_all_panels(address, page):
    opened(page, address, panels=3)
    page.get_by_role("button", name="Play along depth").click()
    depth = page.get_by_role("slider", name="Depth")
    until(page, lambda: 0 < float(depth.input_value()) < 1)
    until(page, lambda: float(depth.input_value()) == 2)
    assert page.locator(".large .title").inner_text() == "Panel 2"
    play = page.get_by_role("button", name="Play along depth")
    until(page, lambda: play.get_attribute("aria-pressed") == "false")  # a frame after the last place


def test_a_lost_context_comes_back_with_its_points(address, page):
    surface = opened(page, address)
    page.locator("canvas.points").evaluate(
        """async canvas => {
            const context = canvas.getContext('webgl2').getExtension('WEBGL_lose_context')
            context.loseContext()
            await new Promise(done => setTimeout(done, 300))
            context.restoreContext()
        }"""
    )
    until(page, lambda: pixels(page, surface, RED)[0] > 500 and pixels(page, surface, BLUE)[1] > 500)


def test_the_server_forgets_what_no_page_shows(address, page):
    got = []
    page.on("response", lambda response: got.append(response) if is_ours(response) else None)
    opened(page, address, 1234)
    (points,) = [each.url for each in got if each.headers.get("content-length") == str(8 * 1234)]
    page.get_by_text("hide").click()
    page.locator(".point-map").wait_for(state="detached")
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')

    def gone():
        try:
            urllib.request.urlopen(points).close()
        except urllib.error.HTTPError as error:
            return error.code == 404
        return False

    until(page, gone)


def test_maps_form_a_strip_on_a_narrow_screen(address, page):
    page.set_viewport_size({"width": 390, "height": 800})
    opened(page, address, panels=3)
    assert page.locator(".strip .cell").count() == 3
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    page.locator(".strip .cell").nth(2).click()
    assert page.locator(".large .title").inner_text() == "Panel 2"


def test_without_webgl_points_are_drawn_and_selected_all_the_same(address, playwright):
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *NO_WEBGL])
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE_MS)
    surface = opened(page, address, 30_000)
    assert "20,000 of 30,000 points are drawn" in page.locator(".notice").inner_text()
    assert pixels(page, surface, RED)[0] > 500
    stroke(page, surface, LEFT)
    answered(page, "15000 chosen")
    until(page, lambda: not sum(pixels(page, surface, BLUE)))
    browser.close()
