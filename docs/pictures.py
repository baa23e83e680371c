"""Takes the README's pictures of the running app.

    streamlit run app.py --server.headless true &
    python docs/pictures.py [http://localhost:8501]

Needs requirements-dev.txt and chromium.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZE = {"width": 1360, "height": 960}
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8501"
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        tab = browser.new_page(viewport=SIZE, color_scheme="light")
        tab.set_default_timeout(120_000)
        take(tab, f"{address}/", ".st-key-network .main-svg", "anatomy")
        take(tab, f"{address}/saliency", ".st-key-overlays img.heat", "saliency")
        take(tab, f"{address}/residual?residual+view=lesions", ".stMultiSelect", "residual")
        bench = f"{address}/residual?residual+view=switch+blocks+off&off=layer1.0&off=layer2.1"
        take(tab, bench, ".st-key-bench img.heat", "bench")
        channel = "channels+view=one+channel&layer=layer2.1&channel=5"
        take(tab, f"{address}/channels?{channel}", ".tiles .crop", "channels")
        take(tab, f"{address}/channels?layer=layer3.2", ".st-key-patches .grid button", "ranking")
        compared = (
            "resnet20-fashion",
            "resnet56-fashion",
            "plain20-fashion",
            "resnet20-fashion?lesion=without:layer3.0",
        )
        take(tab, f"{address}/compare?{'&'.join(f'compared={name}' for name in compared)}", ".stDataFrame", "compare")
        show(tab, f"{address}/embed", ".point-map .surface")
        lasso(tab)
        tab.locator(".st-key-thumbnails .grid").first.wait_for()
        save(tab, "embed")
        show(tab, f"{address}/evaluate", ".st-key-confusion .nsewdrag")
        cell(tab)
        tab.locator(".st-key-selected-images img").first.wait_for()
        save(tab, "evaluate")
        browser.close()


def take(tab: Page, url: str, sign: str, name: str) -> None:
    show(tab, url, sign)
    save(tab, name)


def show(tab: Page, url: str, sign: str) -> None:
    """Open a page and wait for what only stands on it when it is whole."""
    tab.goto(url)
    tab.locator(sign).first.wait_for()


def save(tab: Page, name: str) -> None:
    tab.wait_for_selector(IDLE)
    tab.wait_for_timeout(3000)  # charts are drawn after the script has ended
    tab.screenshot(path=FOLDER / f"{name}.png")


def lasso(tab: Page) -> None:
    """Draw a loop around the left of the map."""
    tab.wait_for_selector(IDLE)
    tab.wait_for_timeout(3000)
    tab.locator(".point-map button.lasso").first.click()
    corners = [(0.03, 0.3), (0.35, 0.3), (0.45, 0.5), (0.4, 0.7), (0.03, 0.7), (0.03, 0.35)]
    places = [within(tab, ".point-map .surface", x, y) for x, y in corners]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=12)
    tab.mouse.up()


def cell(tab: Page) -> None:
    """Click a cell of the confusion matrix beside its diagonal: shirts that are taken for T-shirts."""
    tab.wait_for_selector(IDLE)
    tab.wait_for_timeout(3000)
    tab.mouse.click(*within(tab, ".st-key-confusion .nsewdrag", 0.05, 0.65))


def within(tab: Page, selector: str, x: float, y: float) -> tuple[float, float]:
    """A point of what a selector names, as shares of its width and height from the upper left."""
    box = tab.locator(selector).first.bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


if __name__ == "__main__":
    main()
