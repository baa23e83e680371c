"""Times what a visitor waits for: the first picture after `streamlit run`, and a change of page with cached results.

    python benchmarks/pages.py [--rounds N]

Needs requirements-dev.txt and chromium. Every round starts the app anew; the file caches of the machine are warm from
the second round on. Prints medians over rounds, with the machine and the versions.
"""

import argparse
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
# A link of the navigation, and what stands on its page once it is whole.
PAGES = {
    "Network": ".st-key-network .js-plotly-plot .main-svg",
    "Saliency": ".st-key-overlays img.heat",
    "Embedding": ".st-key-embedding .js-plotly-plot .nsewdrag",
    "Residual branches": ".stPlotlyChart .js-plotly-plot .main-svg",
}
PATIENCE_MS = 180_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often the app is started (default: %(default)s)")
    rounds = parser.parse_args().rounds
    first: list[float] = []
    changes: dict[str, list[float]] = {name: [] for name in PAGES}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for number in range(rounds):
            tab = browser.new_page(viewport={"width": 1400, "height": 1000})
            tab.set_default_timeout(PATIENCE_MS)
            seconds = one_round(tab, changes)
            tab.close()
            print(f"round {number + 1}: first picture after {seconds:.2f} s", flush=True)
            if number or rounds == 1:  # the first round fills the file caches
                first.append(seconds)
        browser.close()
    print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"first picture: median {statistics.median(first):.2f} s, worst {max(first):.2f} s")
    for name, times in changes.items():
        print(f"change to {name}: median {statistics.median(times):.2f} s, worst {max(times):.2f} s")


def one_round(tab: Page, changes: dict[str, list[float]]) -> float:
    """Seconds from starting the server to the first picture; adds the times of page changes to `changes`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://localhost:{port}/_stcore/health")
        tab.goto(f"http://localhost:{port}/")
        tab.locator(PAGES["Network"]).first.wait_for()
        seconds = time.perf_counter() - began
        home, *others = PAGES
        for name in (*others, home):  # lets every result be computed
            visit(tab, name)
        for name in (*others, home) * 2:
            changes[name].append(visit(tab, name))
    finally:
        server.terminate()
        server.wait(20)
    return seconds


def visit(tab: Page, name: str) -> float:
    """Seconds from the click in the navigation to the whole page."""
    before = tab.url
    began = time.perf_counter()
    tab.get_by_test_id("stSidebarNav").get_by_text(name, exact=True).click()
    tab.wait_for_function("before => location.href.split('?')[0] !== before.split('?')[0]", arg=before)
    tab.locator(PAGES[name]).first.wait_for()
    seconds = time.perf_counter() - began
    tab.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    tab.wait_for_timeout(1500)  # background work of the page before must not count for the next
    return seconds


def wait_for(url: str) -> None:
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.05)


if __name__ == "__main__":
    main()
