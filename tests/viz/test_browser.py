"""The app in a real browser: what a visitor sees and does. Needs chromium."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]
PATIENCE_MS = 120_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def address():
    """The app on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    server = subprocess.Popen(
        [*command, "--server.port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(f"http://localhost:{port}/_stcore/health", server)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(url: str, server: subprocess.Popen) -> None:
    for _ in range(1200):
        assert server.poll() is None, "the app ended while it started"
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the app did not answer")


@pytest.fixture(scope="module")
def browser():
    """One browser, which keeps the app's scripts from one page to the next."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_context(viewport={"width": 1400, "height": 1000})
        browser.close()


@pytest.fixture
def page(browser):
    tab = browser.new_page()
    tab.set_default_timeout(PATIENCE_MS)
    yield tab
    tab.close()


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
