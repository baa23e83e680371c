"""Times changes to light pages while the server works on something long, beside the same changes while it is idle.

    python benchmarks/jobs.py [--rounds N]

Needs requirements-dev.txt and chromium. Two kinds of work are tried, features of photographs by a drawn ResNet-18 for a
map: of thousands, which is long, so that a process of its own reads them, and of a thousand, which takes less than a
minute, so that a thread of the server does. In every round a page of another visitor is changed while nothing runs,
then while the one runs, then while the other does, so that all feel the same neighbours on the machine; a visitor
starts the work in the browser and cancels it there. Prints medians in seconds, medians of ratios to the idle server
within a round, and how many images a second the work read meanwhile.
"""

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import torch
from pages import FLAGS, HOME, PATIENCE_MS, ROOT, VIEWS, App, Times
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(ROOT))

from rounds import drawn, machine

LINKS = 10_000  # photographs to read, all links to a few: never finished within a round
LONG_LIMIT, SHORT_LIMIT = "10,000 images", "1,000 images"
PHOTOGRAPHS = 20
IDLE_NAME, PROCESS, THREAD = "nothing", "long work, in a process", "short work, in a thread"
LIGHT = {"Network": HOME, "Saliency": VIEWS["Saliency: stages"]}
CHANGES = 3  # of each page in a round
AIM = 1.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often all is timed (default: %(default)s)")
    rounds = parser.parse_args().rounds
    times = {(work, page): Times() for work in (IDLE_NAME, PROCESS, THREAD) for page in LIGHT}
    rates: dict[str, list[float]] = {PROCESS: [], THREAD: []}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        make_images(Path(folder))
        os.environ |= {"RESNET_EXPLORER_ROOTS": folder, "XDG_CACHE_HOME": f"{folder}/cache"}
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        app = App(browser, ROOT, HOME, Times())
        try:
            app.open(LIGHT["Saliency"])  # whose results are kept from here on
            for number in range(rounds):
                one_round(browser, app, Path(folder), times, rates)
                print(f"round {number + 1} of {rounds} is done", file=sys.stderr, flush=True)
        finally:
            app.close()
        browser.close()
    report(times, rates)


def make_images(folder: Path) -> None:
    """A drawn ResNet-18 and a folder of photographs of noise, large enough to keep the server busy."""
    torch.save(drawn("resnet18").state_dict(), folder / "resnet18.pth")
    (folder / "pictures").mkdir()
    random = np.random.default_rng(0)
    for number in range(PHOTOGRAPHS):
        pixels = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((500, 375)).save(folder / f"{number}.jpg", quality=90)
    for number in range(LINKS):
        (folder / "pictures" / f"{number:05}.jpg").hardlink_to(folder / f"{number % PHOTOGRAPHS}.jpg")


def one_round(
    browser: Browser,
    app: App,
    folder: Path,
    times: Mapping[tuple[str, str], Times],
    rates: Mapping[str, list[float]],
) -> None:
    change(app, {page: times[IDLE_NAME, page] for page in LIGHT})
    for work, limit in ((PROCESS, LONG_LIMIT), (THREAD, SHORT_LIMIT)):
        tab = browser.new_context().new_page()
        tab.set_default_timeout(PATIENCE_MS)
        tab.goto(f"{app.address}/embed?{urlencode(settings(folder, limit))}")
        if work == PROCESS:
            tab.locator("button[kind=primary]").click()
        tab.get_by_text(re.compile("images/s")).first.wait_for()  # it has a pace, so it is at work
        change(app, {page: times[work, page] for page in LIGHT})
        tab.bring_to_front()
        text = tab.get_by_text(re.compile("images/s")).first.inner_text()
        found = re.search(r"([\d.,]+) images/s", text)
        assert found is not None
        rates[work].append(float(found[1].replace(",", "")))
        tab.get_by_role("button", name="Cancel").click()
        tab.get_by_text("cancelled by you").wait_for()
        tab.context.close()
        wait_until_idle(app)


def change(app: App, times: Mapping[str, Times]) -> None:
    """Go from one light page to the other and back."""
    app.open(LIGHT["Network"])
    for _ in range(CHANGES):
        app.change(LIGHT["Network"], LIGHT["Saliency"], times["Saliency"])
        app.change(LIGHT["Saliency"], LIGHT["Network"], times["Network"])


def settings(folder: Path, limit: str) -> dict[str, object]:
    return {
        "model": "a file of mine",
        "weights": folder / "resnet18.pth",
        "images": "a folder or zip of mine",
        "folder": folder / "pictures",
        "limit": limit,
    }


def wait_until_idle(app: App) -> None:
    """Until the work before has come to its end, which it may do only after a step."""
    app.tab.bring_to_front()
    app.tab.wait_for_timeout(5000)


def report(times: Mapping[tuple[str, str], Times], rates: Mapping[str, list[float]]) -> None:
    print(machine())
    print(
        f"Medians in seconds until the picture is shown, in brackets medians of ratios to the idle server. Aim: {AIM}."
    )
    print(f"\n| {'the server works on':28} | {' | '.join(f'{page:13}' for page in LIGHT)} | images/s |")
    print("|---|---|---|---|")
    for work in (IDLE_NAME, PROCESS, THREAD):
        cells = []
        for page in LIGHT:
            mine, idle = times[work, page].shown, times[IDLE_NAME, page].shown
            ratio = statistics.median(one / other for one, other in zip(mine, idle, strict=True))
            cells.append(f"{statistics.median(mine):.2f} ({ratio:.2f})")
        rate = f"{statistics.median(rates[work]):.1f}" if work in rates else ""
        print(f"| {work:28} | {' | '.join(f'{cell:13}' for cell in cells)} | {rate:8} |")


if __name__ == "__main__":
    main()
