"""What the Embedding page colours by."""

import csv
import json
from base64 import b64decode
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.viz.test_pages import errors, open_page
from viz.cached import warm_up


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "started", lambda: SimpleNamespace(device="the CPU", waiting=nullcontext))


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A list of 20 images of which half have 'ant', and every fifth 'bee', with a column of two sites."""
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    random = np.random.default_rng(0)
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "labels", "site"))
        for number in range(20):
            Image.fromarray(random.integers(0, 256, (28, 28), np.uint8)).save(tmp_path / f"{number}.png")
            labels = ["ant"] * (number % 2) + ["bee"] * (number % 5 == 0)
            rows.writerow((f"{number}.png", ";".join(labels), "north" if number < 4 else "south"))
    return str(tmp_path / "list.csv")


def drawn(folder: str, colour: str) -> tuple[list[int], list[str]]:
    """How many points each colour has, and the legend."""
    app = open_page("embed", images="a folder or zip of mine", folder=folder, method="PCA", colour=colour)
    assert not errors(app)
    traces = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
    values = traces[0]["marker"]["color"]
    if isinstance(values, dict):
        values = np.frombuffer(b64decode(values["bdata"]), values["dtype"])
    return np.bincount(values).tolist(), [trace["name"] for trace in traces[1:]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("colour", "counts", "legend"),
    [("label", [10, 10], ["ant", "not ant"]), ("column site", [4, 16], ["north", "south"])],
)
def test_a_column_of_a_list_and_one_of_its_labels_can_be_coloured_by(listed, colour, counts, legend):
    assert drawn(listed, colour) == (counts, legend)
