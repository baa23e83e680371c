"""Times what a visitor waits for, beside a bare Streamlit app: the first picture, and a change to every view.

    python benchmarks/pages.py [--rounds N] [--only TEXT]

Needs requirements-dev.txt and chromium. In every round both apps are started anew, in turn first, and then every change
of page in the one is followed by a change of page in the other, so that both feel the same neighbours on the machine.
The file caches are warm from the second round on. Results are cached: every view is computed before it is timed.

Two times are taken of a change, from the click in the navigation: until the view's main picture is on the page, and
until the script has ended and all charts are drawn. Seconds on the clock, and seconds of all processors, server and
browser together, which say more on a machine that does other things too.
"""

import argparse
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import streamlit
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE_MS = 300_000
FIRST_AIM, CHANGE_AIM = 1.15, 1.5
VISITS = 2  # of every view in a round


@dataclass(frozen=True)
class View:
    """A view of a page: the link that leads there, its address, and what stands on the page when it is shown."""

    link: str
    address: str
    sign: str


# A chart of this page and not of another: the first page has some too, and must be told from what is left.
CHART = '[data-testid="stMain"]:has(.st-key-residual-view) .stPlotlyChart .main-svg'


def _residual(view: str, sign: str = CHART) -> View:
    return View("Residual branches", f"residual?residual+view={view.replace(' ', '+')}", sign)


def _saliency(view: str, sign: str = ".st-key-overlays >> img.heat") -> View:
    return View("Saliency", f"saliency?view={view.replace(' ', '+')}", sign)


HOME = View("Network", "", ".st-key-network .main-svg")
VIEWS = {
    "Saliency: stages": _saliency("stages"),
    "Saliency: methods": _saliency("methods"),
    "Saliency: classes": _saliency("classes"),
    "Saliency: networks": _saliency("networks"),
    "Saliency: branch and shortcut": _saliency("branch and shortcut"),
    "Saliency: logit ledger": _saliency("logit ledger", ".st-key-ledger .main-svg"),
    "Saliency: block timeline": _saliency("block timeline", ".st-key-timeline .main-svg"),
    "Saliency: randomised weights": _saliency("randomised weights", ".st-key-randomised .main-svg"),
    "Saliency: gallery": _saliency("gallery", ".st-key-gallery >> img.heat"),
    "Embedding": View("Embedding", "embed", ".st-key-embedding .nsewdrag"),
    "Evaluation": View("Evaluation", "evaluate", ".st-key-confusion .main-svg"),
    "Residual: branches": _residual("branches"),
    "Residual: variance": _residual("variance"),
    "Residual: channels": _residual("channels"),
    "Residual: representation": _residual("representation"),
    "Residual: classes": _residual("classes"),
    "Residual: lesions": _residual("lesions"),
    "Residual: paths": _residual("paths"),
    "Residual: networks": _residual("networks"),
    "Residual: switch blocks off": _residual("switch blocks off", ".st-key-bench >> img.heat"),
    "Features": View("Features", "extract", "button[kind=primary]"),
}
BARE = """
import plotly.graph_objects as go
import streamlit as st


def page(name, values):
    def render():
        st.title(name)
        st.plotly_chart(go.Figure(go.Bar(x=["a", "b", "c"], y=values)), key=name)

    return st.Page(render, title=name, url_path=name, default=name == "one")


st.set_page_config("Bare", layout="wide")
st.navigation([page("one", [1, 3, 2]), page("two", [2, 1, 3])]).run()
"""
BARE_VIEWS = tuple(View(name, name, f".st-key-{name} .main-svg") for name in ("one", "two"))

# Asked in the browser at every frame, since questions from outside cost the processors that are measured.
CHANGE = """
async ([label, left, sign]) => {
  const below = (root, selector) => [...root.querySelectorAll(selector)]
  const all = sign => {  // 'outer >> inner', where inner may lie in a browser part, into which CSS does not look
    const [outer, inner] = sign.split(' >> ')
    const found = below(document, outer)
    if (!inner) return found
    const roots = found.flatMap(part => [part, ...below(part, '*').map(each => each.shadowRoot).filter(Boolean)])
    return roots.flatMap(root => below(root, inner))
  }
  const link = all('[data-testid="stSidebarNavLink"]').find(link => link.textContent.includes(label))
  const began = performance.now()
  link.click()
  const until = test => new Promise(done => {
    const look = () => test() ? done(performance.now() - began) : requestAnimationFrame(look)
    look()
  })
  const shown = () => !all(left).length && all(sign).length
  const whole = () => shown() && all('[data-testid="stApp"][data-test-script-state="notRunning"]').length
    && all('.stPlotlyChart').every(chart => chart.querySelector('.main-svg'))
  return [await until(shown), await until(whole)].map(ms => ms / 1000)
}
"""
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'


@dataclass
class Times:
    """Of one kind of event, a number each time: seconds until the picture, until the whole page, of all processors."""

    shown: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)

    def add(self, shown: float, whole: float, worked: float) -> None:
        self.shown.append(shown)
        self.whole.append(whole)
        self.worked.append(worked)


@dataclass(frozen=True, eq=False)
class Pair:
    """The same event in this app and in the bare one, beside each other in time."""

    ours: Times = field(default_factory=Times)
    bare: Times = field(default_factory=Times)

    def cells(self) -> list[str]:
        """Medians of ours, and medians of their ratios to the bare app's."""
        pairs = [(getattr(self.ours, name), getattr(self.bare, name)) for name in ("shown", "whole", "worked")]
        ratios = [[one / other for one, other in zip(mine, others, strict=True)] for mine, others in pairs]
        return [
            f"{statistics.median(mine):.2f} ({statistics.median(beside):.2f})"
            for (mine, _), beside in zip(pairs, ratios, strict=True)
        ]


class App:
    """A Streamlit app that has been started, in a tab of its own."""

    def __init__(self, browser: Browser, folder: Path, home: View, first: Times) -> None:
        """Starts it, and times its first picture."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://localhost:{port}"
        self.tab = browser.new_page(viewport={"width": 1400, "height": 1000})
        self.tab.set_default_timeout(PATIENCE_MS)
        began, worked = time.perf_counter(), processor_seconds()
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
        self.server = subprocess.Popen([*command, f"--server.port={port}"], cwd=folder, stdout=subprocess.DEVNULL)
        wait_for(f"{self.address}/_stcore/health")
        self.tab.goto(self.address)
        self.tab.locator(home.sign).first.wait_for()
        shown, worked = time.perf_counter() - began, processor_seconds() - worked
        self.tab.wait_for_selector(IDLE)
        first.add(shown, time.perf_counter() - began, worked)

    def open(self, view: View) -> None:
        """Go to a view by its address, and wait until it stands."""
        self.tab.bring_to_front()
        self.tab.goto(f"{self.address}/{view.address}")
        self.settle(view)

    def settle(self, view: View) -> None:
        self.tab.locator(view.sign).first.wait_for()
        self.tab.wait_for_selector(IDLE)
        self.tab.wait_for_timeout(1500)  # background work of this page must not count for the next

    def change(self, left: View, view: View, times: Times) -> None:
        """Time a click in the navigation."""
        self.tab.bring_to_front()  # others draw no frames
        worked = processor_seconds()
        shown, whole = self.tab.evaluate(CHANGE, [view.link, left.sign, view.sign])
        times.add(shown, whole, processor_seconds() - worked)
        self.settle(view)

    def close(self) -> None:
        self.tab.close()
        self.server.terminate()
        self.server.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often both apps are started (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="the views whose names hold this")
    options = parser.parse_args()
    views = {name: view for name, view in VIEWS.items() if options.only.lower() in name.lower()}
    first, changes = Pair(), {name: Pair() for name in (HOME.link, *views)}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        bare = bare_app(Path(folder))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for number in range(options.rounds):
            # The first round fills the file caches.
            one_round(browser, bare, number, Pair() if number == 0 and options.rounds > 1 else first, views, changes)
            print(f"round {number + 1} of {options.rounds} is done", file=sys.stderr, flush=True)
        browser.close()
    report(first, changes)


def bare_app(folder: Path) -> Path:
    """An app of two pages with a small chart each, under the settings of this project's."""
    shutil.copytree(ROOT / ".streamlit", folder / ".streamlit")
    (folder / "app.py").write_text(BARE)
    return folder


def one_round(
    browser: Browser, bare: Path, number: int, first: Pair, views: Mapping[str, View], changes: Mapping[str, Pair]
) -> None:
    """Start both apps, the one and the other first in turn, and visit every view."""
    apps: dict[str, App] = {}
    starts = [("ours", ROOT, HOME, first.ours), ("bare", bare, BARE_VIEWS[0], first.bare)]
    try:
        for name, *start in starts if number % 2 else reversed(starts):
            apps[name] = App(browser, *start)
        for name, view in views.items():
            visit(apps["ours"], apps["bare"], view, changes[name], changes[HOME.link])
    finally:
        for app in apps.values():
            app.close()


def visit(ours: App, bare: App, view: View, there: Pair, back: Pair) -> None:
    """Go from the first page to a view and back, each beside a change of the bare app's page."""
    one, two = BARE_VIEWS
    ours.open(view)
    ours.tab.get_by_test_id("stSidebarNav").get_by_text(HOME.link, exact=True).click()
    ours.settle(HOME)
    for _ in range(VISITS):
        ours.change(HOME, view, there.ours)
        bare.change(one, two, there.bare)
        ours.change(view, HOME, back.ours)
        bare.change(two, one, back.bare)


def processor_seconds() -> float:
    """What this process and all that it has started, servers and browser, have used of the processors."""
    used = 0.0
    for process in (mine := psutil.Process(), *mine.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used


def wait_for(url: str) -> None:
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.05)


def report(first: Pair, changes: Mapping[str, Pair]) -> None:
    versions = f"Python {platform.python_version()}, Streamlit {streamlit.__version__}"
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {versions}")
    print("Medians in seconds, in brackets medians of ratios to the bare app.")
    print(f"Aims of the first column: {FIRST_AIM} for the first picture, {CHANGE_AIM} for changes.\n")
    print(f"| {'':30} | {'picture shown':13} | {'page whole':13} | {'processors':13} |\n|---|---|---|---|")
    for name, pair in {"first picture": first, **changes}.items():
        print(f"| {name:30} | {' | '.join(f'{cell:13}' for cell in pair.cells())} |")
    bare = [seconds for pair in changes.values() for seconds in pair.bare.shown]
    print(f"\nThe bare app: first picture {statistics.median(first.bare.shown):.2f} s, changes "
          f"{statistics.median(bare):.2f} s ({min(bare):.2f} to {max(bare):.2f}).")  # fmt: skip


if __name__ == "__main__":
    main()
