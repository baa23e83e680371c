"""A workspace as a report and as a notebook: the same figures, by the command and in a notebook's own process."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.__main__ import main
from features.datasets import open_images
from features.errors import FeatureError
from features.networks import naming, zoo
from features.notes import LABEL, Book, write
from features.progress import finish
from features.workspace import Chosen, Images, Network, Shelf, View, Workspace
from viz.reports.document import Figure
from viz.reports.workspace import EXHIBITS, MEASURES, document_of, exhibits_of, notebook

ROOT = Path(__file__).parents[3]
# Runs the code cells one after the other, and prints the figures that they made.
RUNNER = """
import json, sys
cells = json.loads(open(sys.argv[1]).read())["cells"]
made = {}
for cell in cells:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), made)
print(json.dumps({title: figure.to_json() for title, figure in made["shown"].items()}))
"""


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workspace:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    images = open_images("sample").sample(40)
    finish(write(Book(), images, [0, 9], {LABEL: "Sandal"}))
    return Workspace(
        'Mine & "theirs"',
        Network("resnet20-fashion"),
        Images("sample", images.name, images.digest, 40, limit=40),
        [Chosen("some", [*range(20)])],
        [
            View("anatomy", {}, "The network"),
            View("residual", {"residual view": ["variance"]}, "Variance", "How <signals> grow."),
            View("evaluate", {}, "Some", selection="some"),
            View("evaluate", {"evaluation view": ["calibration"]}, "Corrected", corrected=True),
            View("evaluate", {}, "Plain", network=Network("plain20-fashion")),
            View("saliency", {"image": ["3"], "method": ["layercam"]}, "Where it looks"),
            View("embed", {"map": ["PCA"], "frame": ["layer3", "stem"]}, "Arranged"),
            View("evaluate", {"evaluation view": ["retrieval"]}, "Retrieved"),
            View("saliency", {"view": ["gallery"]}, "Of many"),
            View("saliency", {"image": ["4"], "method": ["layercam"]}, "At another"),
            View("saliency", {"image": ["3"], "method": ["layercam"]}, "At the first again"),
            View("channels", {"order": ["class-auroc"], "order class": ["Bag"], "layer": ["layer2.0"]}, "Ranked"),
            View("channels", {"channels view": ["one channel"], "layer": ["layer1.0"], "channel": ["5"]}, "One"),
            View("channels", {"channels view": ["along depth"]}, "Depth"),
            View("channels", {"channels view": ["filters"], "filters by": ["norm"], "filter": ["2"]}, "Filters"),
            View("channels", {"channels view": ["networks"], "beside network": ["plain20-fashion"]}, "Beside"),
            View("channels", {"channels view": ["networks"]}, "Beside nothing"),
        ],
    )


def document(workspace: Workspace):
    load = {name: zoo.load(naming.parse(name)) for name in ("resnet20-fashion", "plain20-fashion")}
    images = workspace.images.open()
    return finish(document_of(workspace, images, load.__getitem__, Book()))


def test_every_exhibit_is_of_measures_that_there_are():
    assert {name for each in EXHIBITS.values() for name in each.of} == {*MEASURES}
    for each in EXHIBITS.values():
        assert each.draw.__module__.startswith("viz.figures.")


def test_a_view_without_its_choice_is_the_first_of_its_page():
    assert [each.name for each in exhibits_of(View("residual", {}, "x"))] == ["ratio", "cosine"]
    assert exhibits_of(View("extract", {}, "x")) == []


def test_what_the_app_alone_can_show_is_no_exhibit():
    assert exhibits_of(View("channels", {"channels view": ["networks"]}, "x")) == []
    for state in ({"origin": "upload"}, {"against": "the runner-up"}, {"view": "gallery"}):
        view = View("saliency", {name: [value] for name, value in state.items()}, "x")
        assert exhibits_of(view) == []
    assert exhibits_of(View("embed", {"features": ["/a/folder"]}, "x")) == []


@pytest.mark.parametrize("state", [{"map": ["x"]}, {"map": ["PCA"], "seed": ["1; evil"]}])
def test_an_address_that_cannot_be_is_told_of(state, workspace):
    with pytest.raises(FeatureError, match="Keep it again"):
        notebook(replace(workspace, views=[View("embed", state, "x")]))


@pytest.mark.parametrize(
    "state",
    [
        {"order": ["best'); evil("]},
        {"channels view": ["filters"], "filters by": ["evil"]},
        {"channels view": ["networks"], "beside network": ["'); evil("], "every block": ["true"]},
    ],
)
def test_an_address_of_channels_is_checked_before_it_is_code(state, workspace):
    cells = []
    try:
        cells = json.loads(notebook(replace(workspace, views=[View("channels", state, "x")])))["cells"]
    except FeatureError:
        return
    for cell in cells:
        if cell["cell_type"] == "code":
            assert "evil" not in compile("".join(cell["source"]), "cell", "exec").co_names


def test_a_notebook_makes_again_what_another_view_made_otherwise(workspace):
    views = [View("saliency", {"image": [number]}, number) for number in ("3", "4", "3", "3")]
    cells = json.loads(notebook(replace(workspace, views=views)))["cells"]
    made = ["".join(cell["source"]).count("saliency.explain(") for cell in cells if cell["cell_type"] == "code"]
    assert made[1:] == [1, 1, 1, 0]  # behind the cell that opens network and images


def test_a_notebook_is_as_its_format_wants_it(workspace):
    content = json.loads(notebook(workspace))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in content["cells"]:
        assert {"cell_type", "metadata", "source"} <= {*cell}
        assert ("outputs" in cell) == ("execution_count" in cell) == (cell["cell_type"] == "code")
    assert notebook(workspace) == notebook(workspace)


def test_what_a_workspace_says_is_no_code_of_a_notebook(workspace):
    evil = "x'); raise SystemExit('evil') #"
    views = [View("residual", {}, evil, selection=evil), View("compare", {"compared": [evil, "b"]}, "x")]
    told = replace(
        workspace, images=replace(workspace.images, source=evil), selections=[Chosen(evil, [0])], views=views
    )
    for cell in json.loads(notebook(told))["cells"]:
        if cell["cell_type"] == "code":
            names = compile("".join(cell["source"]), "cell", "exec").co_names
            assert "SystemExit" not in names


@pytest.mark.slow
def test_the_notebook_makes_the_figures_of_the_report(workspace, tmp_path):
    told = document(workspace)
    wanted = {
        f"{section.title}: {part.title}": part.figure
        for section in told.sections for part in section.parts if isinstance(part, Figure)
    }  # fmt: skip
    assert len(wanted) == 20
    (tmp_path / "views.ipynb").write_text(notebook(workspace))
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(tmp_path / "views.ipynb")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made = json.loads(done.stdout.splitlines()[-1])
    assert [*made] == [*wanted]
    for title, figure in wanted.items():
        told = [json.loads(each) for each in (made[title], figure.to_json())]
        for each in told:
            each["layout"].pop("template", None)  # which Streamlit changes for all figures, where it is at hand
        assert alike(*told), title


def alike(one, other) -> bool:
    """Whether two figures are the same but for the last digits of numbers, which threads may sum in another order."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return (
        bool(np.isclose(one, other, rtol=1e-4)) if isinstance(one, float) and isinstance(other, float) else one == other
    )


@pytest.mark.slow
def test_commands_write_report_and_notebook_once(workspace, tmp_path, capsys):
    Shelf().save(workspace)
    for line in (["workspace", "report", workspace.name, "--to"], ["notebook", workspace.name, "--out"]):
        target = tmp_path / f"{line[0]}.file"
        assert main([*line, str(target)]) == 0
        before = target.read_bytes()
        assert main([*line, str(target)]) == 2
        assert "already" in capsys.readouterr().err
        assert target.read_bytes() == before
    html = (tmp_path / "workspace.file").read_text()
    assert "Mine &amp; &#34;theirs&#34;" in html
    assert "How &lt;signals&gt; grow." in html
    assert "2 labels corrected" in html


def test_labels_that_were_corrected_count_in_the_views_that_say_so(workspace):
    images = workspace.images.open()
    about = [finish(workspace.images_of(view, images, Book())) for view in workspace.views]
    assert [len(each) for each in about][:6] == [40, 40, 20, 40, 40, 40]
    assert [each.digest == images.digest for each in about][:6] == [True, True, False, False, True, True]
    assert "2 labels corrected" in about[3].name
