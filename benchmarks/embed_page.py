"""Times the map of points in a browser, from 10,000 points to a million, beside Plotly's WebGL scatter up to 100,000.

    python benchmarks/embed_page.py [--points 10000,100000,1000000] [--panels P] [--rounds N]
    python benchmarks/embed_page.py --page [--points ...] [--rounds N]    # the Embedding page itself

Needs requirements-dev.txt and chromium. The page is one of random clusters (embed_parts/points_app.py), whose points,
texts and figure are computed and cached before anything is timed. In every round each contestant is started anew, the
one and the other first in turn. Measured are

- the first picture: from the opening of the page until pixels of points are on the canvas, read back from it;
- panning: frames a second in which WebGL draws while the map is dragged for two seconds;
- a lasso: from the release of the button until the server's count of the points inside stands on the page, of the
  Embedding page until the selection's small pictures do;
- bytes that the browser got, by web socket and by HTTP without the app's own scripts and fonts, a point;
- the server's memory after that, above what it held with an empty page open. Texts of the points count, since the map
  keeps them for the pointer; Plotly has none.

The Embedding page shows principal components of vectors in a Parquet file (embed_parts/vectors.py). What it has to
compute once, neighbours above all, another visitor has waited for, which is told.
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
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import streamlit
from embed_parts import vectors
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE_MS = 900_000
PAN_SECONDS = 2.0
MOST_FOR_PLOTLY = 100_000
COLUMNS = (
    "points", "drawn by", "first picture, s", "pictures a second", "lasso, s", "bytes a point", "lasso, kB",
    "server, MB",
)  # fmt: skip
LASSO = ((0.3, 0.3), (0.5, 0.2), (0.7, 0.35), (0.72, 0.6), (0.5, 0.75), (0.32, 0.6))


APP = HERE.parent / "app.py"


@dataclass(frozen=True)
class Contestant:
    """What draws: its canvas, the surface that takes the mouse, the buttons of two tools, and the app that it is in."""

    name: str
    canvas: str
    surface: str
    pan: str
    lasso: str
    app: Path = HERE / "embed_parts/points_app.py"

    @property
    def is_page(self) -> bool:
        return self.app == APP


MAP = Contestant("map", "canvas.points", ".point-map .surface", ".point-map button.pan", ".point-map button.lasso")
PAGE = replace(MAP, name="page", app=APP)
PLOTLY = Contestant("plotly", "canvas.gl-canvas-context", ".nsewdrag", '[data-val="pan"]', '[data-val="lasso"]')

# Pixels that are read wait for those that are still being drawn.
DRAWN = """
selector => {
  const roots = [document, ...[...document.querySelectorAll('*')].map(each => each.shadowRoot).filter(Boolean)]
  const canvas = roots.map(root => root.querySelector(selector)).find(Boolean)
  if (!canvas?.width) return false
  const small = document.createElement('canvas')
  small.width = small.height = 64
  const context = small.getContext('2d')
  context.drawImage(canvas, 0, 0, 64, 64)
  return context.getImageData(0, 0, 64, 64).data.some((value, at) => at % 4 === 3 && value > 0)
}
"""
# Frames in which WebGL drew something, whoever asked it to.
COUNT_DRAWING = """
for (const kind of [window.WebGLRenderingContext, window.WebGL2RenderingContext]) {
  for (const name of ['drawArrays', 'drawElements']) {
    const draw = kind.prototype[name]
    kind.prototype[name] = function (...values) {
      window.drawn = true
      return draw.apply(this, values)
    }
  }
}
"""
COUNT_FRAMES = """
() => {
  Object.assign(window, { pictures: 0, drawn: false, began: performance.now() })
  const count = () => {
    if (window.drawn) window.pictures++
    window.drawn = false
    window.counting = requestAnimationFrame(count)
  }
  window.counting = requestAnimationFrame(count)
}
"""
COUNTED = """
() => {
  cancelAnimationFrame(window.counting)
  return 1000 * window.pictures / (performance.now() - window.began)
}
"""
ANSWERED = "() => Number.parseInt(document.querySelector('.st-key-answer')?.textContent ?? '0') > 0"


@dataclass
class Measured:
    """Of one contestant and one number of points, a value each round."""

    first: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    lasso: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


class Traffic:
    """Bytes that the browser gets."""

    def __init__(self, page: Page) -> None:
        self.total = 0
        self._ours: set[str] = set()
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.webSocketFrameReceived", self._frame)
        session.on("Network.responseReceived", self._response)
        session.on("Network.loadingFinished", self._finished)

    def _frame(self, event: dict) -> None:
        self.total += len(event["response"]["payloadData"]) * 3 // 4  # base64

    def _response(self, event: dict) -> None:
        if "/static/" not in event["response"]["url"]:
            self._ours.add(event["requestId"])

    def _finished(self, event: dict) -> None:
        if event["requestId"] in self._ours:
            self.total += event["encodedDataLength"]

    def taken(self) -> int:
        total, self.total = self.total, 0
        return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", default="10000,100000,1000000", help="how many, parted by commas")
    parser.add_argument("--panels", type=int, default=1, help="maps side by side (Plotly draws one; default: 1)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is started (default: %(default)s)")
    parser.add_argument("--page", action="store_true", help="the Embedding page instead")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Streamlit {streamlit.__version__}, {options.panels} panels")
    print("Medians; in brackets the ratio to Plotly's.\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for n_points in map(int, options.points.split(",")):
        contestants = [MAP, PLOTLY] if n_points <= MOST_FOR_PLOTLY and options.panels == 1 else [MAP]
        contestants = [PAGE] if options.page else contestants
        measured = {contestant.name: Measured() for contestant in contestants}
        with tempfile.TemporaryDirectory() as scratch:
            if options.page:
                vectors.write(Path(scratch) / "vectors", n_points)
            for number in range(options.rounds):
                for contestant in contestants if number % 2 else reversed(contestants):
                    one_round(contestant, n_points, options.panels, Path(scratch), measured[contestant.name])
        for name, values in measured.items():
            print(line(n_points, name, values, measured.get(PLOTLY.name)), flush=True)


def one_round(contestant: Contestant, n_points: int, n_panels: int, scratch: Path, into: Measured) -> None:
    """Start server and browser, and go through all that is measured. scratch: with vectors, and the app's cache."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", contestant.app, "--server.headless=true"]
    server = subprocess.Popen(
        [*command, f"--server.port={port}"], cwd=HERE.parent, stdout=subprocess.DEVNULL,
        env=os.environ | {"XDG_CACHE_HOME": str(scratch / "cache"), "RESNET_EXPLORER_ROOTS": str(scratch)},
    )  # fmt: skip
    try:
        address = f"http://localhost:{port}"
        wait_for(f"{address}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(PATIENCE_MS)
            page.add_init_script(COUNT_DRAWING)
            page.goto(address)
            page.get_by_text("What this network is" if contestant.is_page else "ready").first.wait_for()
            before = psutil.Process(server.pid).memory_info().rss
            link = f"{address}/?points={n_points}&panels={n_panels}&by={contestant.name}"
            if contestant.is_page:
                link = f"{address}/embed?features={scratch / 'vectors'}&method=PCA"
            warm(browser, link, contestant)
            measure(page, link, contestant, into)
            into.memory.append((psutil.Process(server.pid).memory_info().rss - before) / 1e6)
            into.sent[-1] /= n_points
            browser.close()
    finally:
        server.terminate()
        server.wait(30)


def warm(browser, link: str, contestant: Contestant) -> None:
    """The server computes the points and their texts for another visitor, who leaves."""
    began = time.perf_counter()
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(link)
    page.wait_for_function(DRAWN, arg=contestant.canvas, polling=200)
    page.close()
    print(f"computed in {time.perf_counter() - began:.1f} s", file=sys.stderr)


def measure(page: Page, link: str, contestant: Contestant, into: Measured) -> None:
    traffic = Traffic(page)
    began = time.perf_counter()
    page.goto(link)
    page.wait_for_function(DRAWN, arg=contestant.canvas, polling="raf")
    into.first.append(time.perf_counter() - began)
    page.wait_for_timeout(3000)
    into.sent.append(traffic.taken())
    surface = page.locator(contestant.surface).first.bounding_box()
    page.mouse.move(surface["x"] + 50, surface["y"] + 50)  # Plotly shows its buttons to the pointer
    page.locator(contestant.pan).first.click()
    into.frames.append(frames_a_second(page, surface))
    page.locator(contestant.lasso).first.click()
    page.wait_for_timeout(3000)
    traffic.taken()
    into.lasso.append(lasso_seconds(page, surface, contestant))
    page.wait_for_timeout(1500)
    into.answer.append(traffic.taken() / 1e3)


def lasso_seconds(page: Page, box: dict, contestant: Contestant) -> float:
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in LASSO]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=8)
    began = time.perf_counter()
    page.mouse.up()
    if contestant.is_page:
        page.locator(".st-key-thumbnails .grid").first.wait_for()
    else:
        page.wait_for_function(ANSWERED, polling="raf")
    return time.perf_counter() - began


def frames_a_second(page: Page, box: dict) -> float:
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(COUNT_FRAMES)
    began = time.perf_counter()
    step = 0
    while time.perf_counter() - began < PAN_SECONDS:
        step += 1
        page.mouse.move(x + step % 60 * 3, y + step % 40 * 3)
    frames = page.evaluate(COUNTED)
    page.mouse.up()
    return frames


def wait_for(url: str) -> None:
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.05)


def line(n_points: int, name: str, mine: Measured, other: Measured | None) -> str:
    """A row of the table."""

    def cell(values: str, digits: int) -> str:
        value = statistics.median(getattr(mine, values))
        text = f"{value:.{digits}f}"
        if other is None or other is mine or not statistics.median(getattr(other, values)):
            return text
        return f"{text} ({value / statistics.median(getattr(other, values)):.2f})"

    cells = [
        cell("first", 2),
        cell("frames", 1),
        cell("lasso", 2),
        cell("sent", 1),
        cell("answer", 0),
        cell("memory", 0),
    ]
    return f"| {n_points:,} | {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
