"""Every page, run as the app runs it, on the bundled network and sample."""

import io
import json
import re
import shlex
import shutil
import zipfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from features import extract
from features.datasets import ImageSet, labels, open_images
from features.networks import card, catalogue, filling, naming, zoo
from features.networks.architecture import cifar
from features.networks.canonical import build, published_name
from features.progress import finish
from features.saliency import ClassTarget, Drawing, Explainer, Tap
from tests.networks.test_head_pools import learner
from tests.random_networks import randomise
from viz.cached import warm_up
from viz.cached.server import jobs
from viz.pages.embed.shown import Shown
from viz.pages.saliency import overlays
from viz.pages.saliency.overlays import Tile

SCRIPT = """
from viz import sidebar
from viz.pages import {page}

sidebar.show()
{page}.render()
"""
ROOT = Path(__file__).parents[2]
PATIENCE = 120


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "started", lambda: SimpleNamespace(device="the CPU", waiting=nullcontext))


def open_page(page: str, **query: str) -> AppTest:
    """The page as a visitor with this URL sees it, once its long work is done."""
    app = AppTest.from_string(SCRIPT.format(page=page), default_timeout=PATIENCE)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    return settle(app)


def settle(app: AppTest) -> AppTest:
    """Wait for the jobs that the page waits for, and run it again until it stands."""
    for _ in range(12):
        running = jobs().unfinished()
        if not running and not waits(app):
            break
        for run in running:
            assert run.wait(PATIENCE)
        app.run()
    assert not app.exception
    return app


def waits(app: AppTest) -> bool:
    """Whether what was drawn is that work is waited for, which may have ended since."""
    return any((button.key or "").startswith("cancel ") for button in app.button)


def errors(app: AppTest) -> str:
    return " ".join(error.value for error in app.error)


def shown(markdown: str) -> str:
    """What a visitor reads of Markdown in which all signs are escaped."""
    return re.sub(r"\\(.)", r"\1", markdown)


@pytest.mark.parametrize(
    "page",
    [
        "anatomy",
        "saliency",
        pytest.param("channels", marks=pytest.mark.slow),
        pytest.param("embed", marks=[pytest.mark.slow, pytest.mark.xdist_group("umap")]),
        pytest.param("evaluate", marks=pytest.mark.slow),
        pytest.param("residual", marks=pytest.mark.slow),
    ],
)
def test_page_shows_the_bundled_network_without_a_click(page):
    app = open_page(page)
    assert not errors(app)
    assert len(app.title) == 1
    assert app.get("plotly_chart") or app.get("bidi_component")  # a map is a part of our own


def test_entry_point_opens_on_the_network_page():
    app = AppTest.from_file(ROOT / "app.py", default_timeout=PATIENCE).run()
    assert not app.exception
    assert app.title[0].value == "What this network is"


def test_url_chooses_the_network():
    app = open_page("anatomy", model="plain20-fashion")
    assert "plain20" in app.markdown[0].value


def test_unknown_network_in_the_url_falls_back_to_the_default():
    app = open_page("anatomy", model="no-such-network")
    assert app.selectbox(key="model").value == catalogue.DEFAULT


def test_network_whose_weights_are_missing_is_an_error_that_says_where_to_put_them(monkeypatch, tmp_path):
    from urllib.error import URLError

    import torch

    def no_network(*_args, **_kwargs):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    app = open_page("saliency", model="resnet18-v1")
    assert "resnet18" in errors(app)
    assert str(tmp_path) in shown(errors(app))


def test_what_a_network_is_can_be_seen_without_its_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    app = open_page("anatomy", model="resnet50-v2")
    assert not errors(app)
    assert {metric.label: metric.value for metric in app.metric}["Layers"] == "50"
    assert any("not on this machine" in caption.value for caption in app.caption)


@pytest.mark.slow
def test_plain_network_has_no_ratio_and_says_why():
    app = open_page("residual", model="plain20-fashion", limit="100 images")
    assert not errors(app)
    assert "plain network" in app.info[0].value
    assert not app.get("plotly_chart")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("view", "charts"),
    [("branches", 2), ("variance", 2), ("channels", 4), ("representation", 3), ("classes", 1), ("lesions", 2),
     pytest.param("paths", 1, marks=pytest.mark.slow), ("networks", 1)],
)  # fmt: skip
def test_every_view_of_the_residual_page_stands(view, charts):
    app = open_page("residual", limit="100 images", **{"residual view": view})
    assert not errors(app)
    assert len(app.get("plotly_chart")) == charts


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param("scaled", marks=pytest.mark.slow), "random", "swapped"])
def test_every_kind_of_lesion_is_shown(kind):
    app = open_page("residual", limit="100 images", lesion=kind, **{"residual view": "lesions"})
    assert not errors(app)
    assert len(app.get("plotly_chart")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("view", ["variance", "channels", "representation", "lesions"])
def test_a_plain_network_is_measured_too(view):
    app = open_page("residual", model="plain20-fashion", limit="100 images", **{"residual view": view})
    assert not errors(app)
    assert app.get("plotly_chart")


def test_blocks_are_switched_off_by_a_click_and_the_network_of_others_stays():
    app = open_page("residual", limit="100 images", **{"residual view": "switch blocks off"})
    before = {metric.label: metric.value for metric in app.metric}
    assert "With the lesion" not in before
    settle(app.get("pills")[0].set_value(["layer1.0", "layer2.0"]).run())
    assert not errors(app)
    after = {metric.label: metric.value for metric in app.metric}
    assert after["Accuracy intact"] == before["Accuracy intact"]
    assert float(after["With the lesion"].rstrip("%")) < float(after["Accuracy intact"].rstrip("%")) - 10
    assert any("without layer1.0, layer2.0" in shown(text.value) for text in app.markdown)


def test_a_class_beside_itself_is_an_error_that_says_so():
    app = open_page("residual", limit="100 images", **{"residual view": "classes", "class two": "Ankle boot"})
    assert "Both classes are the same" in errors(app)


def test_saliency_explains_the_class_that_is_chosen():
    app = open_page("saliency")
    classes = app.selectbox(key="class")
    classes.set_value("Bag (8)").run()
    assert any("Grad-CAM for Bag" in header.value for header in app.subheader)


@pytest.mark.parametrize(
    ("view", "charts"),
    [("methods", 1), ("classes", 1), ("networks", 1), ("branch and shortcut", 1), ("logit ledger", 2),
     ("block timeline", 2), ("randomised weights", 2)],
)  # fmt: skip
def test_saliency_shows_every_view(view, charts):
    app = open_page("saliency", view=view, against="the runner-up")
    assert not errors(app)
    assert len(app.get("plotly_chart")) == charts
    assert all("runner" not in header.value for header in app.subheader)


@pytest.mark.parametrize(
    ("target", "text"), [("length of features", "length of layer2"), ("likeness to another image", "likeness to")]
)
@pytest.mark.parametrize("view", ["stages", "methods", "branch and shortcut", "block timeline", "randomised weights"])
def test_saliency_explains_what_a_stage_makes_of_the_image(target, text, view):
    app = open_page("saliency", view=view, **{"class": target, "target stage": "layer2"})
    assert not errors(app)
    assert any(text in header.value for header in app.subheader)


def test_the_ledger_is_of_classes_only():
    assert "Explain a class" in errors(open_page("saliency", view="logit ledger", **{"class": "length of features"}))


def test_the_files_of_several_networks_are_named_by_their_own_classes():
    fashion, other = zoo.load("resnet20-fashion"), zoo.load("plain20-fashion")
    other = replace(other, spec=replace(other.spec, class_names=tuple("abcdefghij")))
    picture = open_images("sample").open(0)
    pixels = fashion.spec.preprocessing.framed(picture)[None]
    maps = [(model, Explainer(model).maps(pixels, [ClassTarget(3)])) for model in (fashion, other)]
    data = overlays.archive({"one": picture}, maps, Drawing(), {})
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        rows = json.loads(file.read("manifest.json"))["maps"]
        assert {row["file"] for row in rows} <= set(file.namelist())
    assert {row["file"].split("/")[0]: row["class_name"] for row in rows} == {
        "0-resnet20-fashion": fashion.spec.class_names[3],
        "1-plain20-fashion": "d",
    }


@pytest.mark.parametrize(
    ("values", "signed", "text"),
    [
        (np.zeros((2, 2)), False, "zero everywhere"),
        (-np.ones((2, 2)), False, "speaks against"),
        (-np.ones((2, 2)), True, "The same everywhere"),
        (np.ones((2, 2)), False, "The same everywhere"),
        (np.eye(2), False, "raw 0 to 1"),
    ],
)
def test_a_map_that_shows_nothing_says_why(values, signed, text):
    assert text in overlays._describe(Tile("layer1", values.astype(np.float32), Tap("layer1")), signed)


def test_a_class_is_not_set_against_itself():
    app = open_page("saliency", **{"class": "Bag (8)", "against": "Bag (8)"})
    assert "cannot be set against itself" in shown(errors(app))


@pytest.mark.slow
def test_a_network_without_a_head_is_asked_what_its_stages_make_of_the_image(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    filling.save(randomise(build(cifar(8, classes=None))), tmp_path / "trunk.safetensors", {})
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "trunk.safetensors")}
    for view in ("stages", "randomised weights", "gallery"):  # which it does not have
        app = open_page("saliency", view=view, **chosen)
        assert not errors(app)
        assert any("length of layer3" in header.value for header in app.subheader)


@pytest.mark.parametrize("view", ["stages", "classes", "logit ledger", "gallery"])
def test_a_network_with_one_logit_has_two_classes_to_set_against_each_other(view, tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    shape = cifar(8, classes=1)
    spec = card.ModelSpec("one", "", shape, catalogue.CIFAR_PREPROCESSING, (), "", "")  # nothing to test
    filling.save(randomise(build(shape)), tmp_path / "one.safetensors", card.describe(spec))
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "one.safetensors"), "limit": "100 images"}
    app = open_page("saliency", **chosen, view=view, against="the runner-up")
    assert not errors(app)
    bars = json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]
    assert sum(float(share.rstrip("%")) for share in bars["text"]) == pytest.approx(100, abs=0.2)
    assert sorted(bars["hovertext"]) == ["0", "1"]


def test_the_gallery_shows_errors_first():
    app = open_page("saliency", view="gallery", limit="100 images")
    assert not errors(app)
    assert any("errors" in shown(caption.value) for caption in app.caption)


def test_saliency_waits_for_a_method_that_takes_long():
    app = open_page("saliency", method="Integrated Gradients")
    assert not errors(app)
    assert any("Integrated Gradients" in header.value for header in app.subheader)


def test_upload_is_explained_and_a_damaged_one_is_named():
    app = open_page("saliency", origin="upload")
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 30, 3), 200, np.uint8)).save(buffer, "PNG")
    app.get("file_uploader")[0].set_value(("ok.png", buffer.getvalue(), "image/png")).run()
    assert not errors(app)
    assert any("Grad-CAM" in header.value for header in app.subheader)
    app.get("file_uploader")[0].set_value(("broken.png", buffer.getvalue()[:60], "image/png")).run()
    assert "broken.png" in shown(errors(app))


@pytest.mark.parametrize(
    ("folder", "said"),
    [("", "No images chosen"), ("/etc", "outside the folders"), ("~/no-such-folder", "nothing at")],
    ids=["empty", "forbidden", "absent"],
)
def test_unusable_folder_is_an_error(folder, said):
    app = open_page("embed", images="a folder or zip of mine", folder=folder)
    assert said in errors(app)


def test_folder_of_images_without_classes_can_be_embedded(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    generator = np.random.default_rng(0)
    for index in range(30):
        Image.fromarray(generator.integers(0, 255, (28, 28), np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "broken.png").write_bytes(b"not an image")
    app = open_page("embed", images="a folder or zip of mine", folder=str(tmp_path), map="PCA")
    assert not errors(app)
    assert "1 images could not be read" in app.warning[0].value


def test_what_was_understood_of_a_folder_is_said_and_its_split_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    generator = np.random.default_rng(0)
    for name, number in (("train/ant", 6), ("train/bee", 6), ("test/ant", 3), ("test/bee", 2)):
        (tmp_path / name).mkdir(parents=True)
        for index in range(number):
            pixels = generator.integers(0, 255, (28, 28), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    (tmp_path / "notes.txt").write_text("no image")
    app = open_page("saliency", images="a folder or zip of mine", folder=str(tmp_path))
    said = " ".join(caption.value for caption in app.sidebar.caption)
    assert shown(said).count("5 images, 2 classes, split test of 2; 1 file left aside") == 1
    assert ".txt is not an image's: notes.txt" in shown(said)
    assert app.selectbox(key="split").options == ["test", "train", "all"]
    app.selectbox(key="split").select("train").run()
    said = " ".join(caption.value for caption in settle(app).sidebar.caption)
    assert "12 images, 2 classes, split train of 2" in shown(said)
    assert app.number_input(key="image").max == 11
    app.text_input(key="folder").set_value(f"{tmp_path}:all").run()  # a split in the path itself
    assert settle(app).number_input(key="image").max == 16
    assert not [box for box in app.selectbox if box.key == "split"]


def test_right_and_wrong_stay_with_their_images_when_some_cannot_be_read(tiny_model, tiny_folder, tiny_images):
    (tiny_folder / "cat" / "0.png").write_bytes(b"torn")
    model = replace(tiny_model, spec=replace(tiny_model.spec, class_names=("dog", "cat", "fox", *"abcdefg")))
    features = finish(extract.features(model, tiny_images))
    found = Shown(model, tiny_images, features, labels.matched(model.spec, tiny_images))
    assert found.truth is not None
    assert found.truth.tolist() == [1] * 3 + [0] * 4 + [2] * 4
    assert found.correct is not None
    assert found.correct.tolist() == (features.predictions.predicted == found.truth).tolist()
    without_labels = replace(tiny_images, labels=None, class_names=())
    assert Shown(model, without_labels, features, labels.matched(model.spec, without_labels)).correct is None


def test_an_uploaded_picture_outlives_its_control():
    app = open_page("saliency", origin="upload")
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 30, 3), 200, np.uint8)).save(buffer, "PNG")
    app.get("file_uploader")[0].set_value(("ok.png", buffer.getvalue(), "image/png")).run()
    app.get("file_uploader")[0].set_value(None).run()
    assert any("Grad-CAM" in header.value for header in app.subheader)


@pytest.mark.slow
def test_file_without_a_description_is_read_as_the_visitor_says(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    filling.save(randomise(build(cifar(8))), tmp_path / "bare.safetensors", {})
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "bare.safetensors")}
    guessed = open_page("anatomy", **chosen)
    assert not errors(guessed)
    assert any("option A" in warning.value for warning in guessed.warning)
    told = open_page("anatomy", **chosen, architecture="plain20-cifar")
    assert "blocks is" in errors(told)  # 8 layers, not 20


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["what the file says", "resnet50"])
def test_the_page_says_which_preprocessing_own_weights_get(architecture, tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    filling.save(build(catalogue.TORCHVISION["resnet50"]), tmp_path / "mine.safetensors", {})
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "mine.safetensors"), "architecture": architecture}
    (warning,) = open_page("anatomy", **chosen).warning
    assert "- the input, shorter side to 256 px" in shown(warning.value)


@pytest.mark.slow
def test_what_pools_before_the_head_is_told_and_can_be_said(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    torch.save(learner(lin_first=True).state_dict(), tmp_path / "mine.pth")
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "mine.pth"), "crop": "64", "resize": "64"}
    (warning,) = open_page("anatomy", **chosen).warning
    assert "maxima followed by averages over space before the head (“Pool before the head”)" in shown(warning.value)
    (warning,) = open_page("anatomy", **chosen, head_pool="average-max").warning
    assert "“Pool before the head”" not in shown(warning.value)
    assert "Wanted one of max-average, average-max" in shown(errors(open_page("anatomy", **chosen, head_pool="max")))


def test_names_of_files_are_not_read_as_markdown(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    app = open_page("embed", images="a folder or zip of mine", folder=f"{tmp_path}/![x](http-evil)")
    assert "There is nothing" in errors(app)
    assert "![x](" not in errors(app)


# --- Features ---------------------------------------------------------------------------------------------------------


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    return settle(app)


@pytest.mark.slow
def test_features_are_extracted_shown_and_offered(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    app = open_page("extract", limit="100 images", out=str(tmp_path / "mine"), format="npy")
    assert not errors(app)
    assert "layer1 16, layer2 32, layer3 64" in shown(app.markdown[0].value)
    assert not app.metric
    press(app, "Extract")
    assert {metric.label: metric.value for metric in app.metric}["Rows"] == "100"
    assert list(app.dataframe[0].value.columns) == [
        "id",
        "label",
        "prediction",
        "confidence",
        "layer1",
        "layer2",
        "layer3",
    ]
    assert np.load(tmp_path / "mine" / "layer3.npy").shape == (100, 64)
    again = open_page("extract", limit="100 images", out=str(tmp_path / "mine"), format="npy")
    assert {metric.label: metric.value for metric in again.metric}["Rows"] == "100"  # found again, without a click
    other = open_page("extract", limit="100 images", out=str(tmp_path / "mine"), format="npz")
    press(other, "Extract")
    assert 'format was "npy" and is "npz"' in shown(errors(other))


@pytest.mark.slow
def test_features_whose_folder_somebody_took_away_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    app = press(open_page("extract", limit="100 images", out=str(tmp_path / "mine")), "Extract")
    shutil.rmtree(tmp_path / "mine")
    settle(app.run())
    assert not errors(app)
    assert {metric.label: metric.value for metric in app.metric}["Rows"] == "100"


@pytest.mark.slow
def test_all_images_of_a_set_can_be_extracted_and_not_only_the_sample(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    app = open_page("extract", limit="100 images")
    assert "All 1,000 images" in app.toggle[0].label
    app.toggle[0].set_value(True).run()
    assert "**1,000** images" in app.markdown[0].value


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"out": "/etc/features"}, "outside the folders"),
        ({"format": "tensorboard", "pool": "none"}, "whole maps"),
    ],
)
def test_what_cannot_be_extracted_is_said_before_it_is_tried(query, said):
    app = open_page("extract", limit="100 images", **query)
    assert said in errors(app)
    assert not [button for button in app.button if button.label == "Extract"]


# --- what a file does not say -----------------------------------------------------------------------------------------


def test_what_the_visitor_says_of_a_file_is_taken_on_every_page_and_by_links(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    filling.save(randomise(build(cifar(8))), tmp_path / "bare.safetensors", {})
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "bare.safetensors"), "shortcut_padding": "end"}
    page = open_page("anatomy", **chosen, range="signed", mean="0.1,0.2,0.3")
    assert not errors(page)
    said = " ".join(caption.value for caption in page.caption)
    assert "minus mean 0.550 0.600 0.650, divided by std 0.500 0.500 0.500" in said
    assert "--mean" not in " ".join(warning.value for warning in page.warning)
    wrong = open_page("anatomy", **chosen, mean="grey")
    assert "Wanted 3 numbers" in errors(wrong)


@pytest.mark.parametrize(("said", "told"), [({}, "where many of its kind have"), ({"shortcut_padding": "end"}, "")])
def test_every_page_tells_the_gravest_of_what_is_assumed(said, told, tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    filling.save(randomise(build(cifar(8, in_channels=1))), tmp_path / "bare.safetensors", {})
    monkeypatch.setattr(ImageSet, "pictures", lambda self: [])
    app = AppTest.from_string(
        "from viz import sidebar\nnotice = sidebar.show()\nsidebar.tell_assumed(notice)", default_timeout=PATIENCE
    )
    for name, value in {"model": "a file of mine", "weights": str(tmp_path / "bare.safetensors"), **said}.items():
        app.query_params[name] = value
    (warning,) = settle(app.run()).sidebar.warning
    assert told in shown(warning.value)
    assert ("“Zeros of padded shortcuts at” end" in shown(warning.value)) is not bool(said)
    assert "The page Network lists" in shown(warning.value)


def test_of_a_network_of_the_catalogue_nothing_is_assumed():
    app = AppTest.from_string("from viz import sidebar\nsidebar.tell_assumed(sidebar.show())", default_timeout=PATIENCE)
    assert not settle(app.run()).sidebar.warning


@pytest.mark.slow
def test_a_file_with_several_networks_lists_them_and_part_chooses(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    states = {
        name: {f"{name}.{published_name(key)}": value for key, value in randomise(build(net)).state_dict().items()}
        for name, net in (("encoder_q", cifar(8, classes=None)), ("encoder_k", cifar(14, classes=None)))
    }
    torch.save(states["encoder_q"] | states["encoder_k"], tmp_path / "moco.pth")
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "moco.pth")}
    page = open_page("anatomy", **chosen)
    parts = next(box for box in page.selectbox if box.key == "part_of_file")
    assert "2 networks" in parts.label
    assert [title.split()[0] for title in parts.options] == ["encoder_q", "encoder_k"]
    depths = [{metric.label: metric.value for metric in page.metric}["Layers"]]
    other = open_page("anatomy", **chosen, part="encoder_k")
    depths.append({metric.label: metric.value for metric in other.metric}["Layers"])
    for name in ("encoder_k", "encoder_q"):
        next(box for box in page.selectbox if box.key == "part_of_file").set_value(name).run()
        assert page.session_state["part"] == ("encoder_k" if name == "encoder_k" else "")
        depths.append({metric.label: metric.value for metric in page.metric}["Layers"])
    assert depths == ["8", "14", "14", "8"]


def test_what_lies_in_a_file_is_told_as_inspect_tells_it_with_the_command_that_uses_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    state = {published_name(key): value for key, value in randomise(build(cifar(8, classes=3))).state_dict().items()}
    torch.save({"net": state, "optimizer": {"exp_avg": torch.zeros(3)}}, tmp_path / "run.ckpt")
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "run.ckpt"), "range": "signed"}
    closed = open_page("anatomy", **chosen)
    assert not [each for each in closed.code if "tensors" in each.value]
    contents, command = open_page("anatomy", **chosen, contents="true").code
    assert "network at 'net', spelled as torchvision" in contents.value
    assert "3 classes" in contents.value
    assert "(“Pool after the stem”)" in contents.value
    assert contents.value.startswith("torch, 45 tensors, of which 1 of its training (optimizer) are left aside")
    name = naming.parse(shlex.split(command.value)[6])
    assert (name.weights, dict(name.settings)) == (tmp_path / "run.ckpt", {"range": "signed"})


def test_head_chooses_one_of_several(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    state = {published_name(key): value for key, value in randomise(build(cifar(8, classes=3))).state_dict().items()}
    state |= {"fc_sex.weight": torch.randn(2, 64), "fc_sex.bias": torch.randn(2)}
    torch.save(state, tmp_path / "two.pth")
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "two.pth")}
    page = open_page("anatomy", **chosen)
    warnings = shown(" ".join(each.value for each in page.warning))
    assert "of the heads fc, fc_sex the first (“Head”)" in warnings
    assert "“Range of pixel values”" in warnings
    assert "--" not in warnings
    other = open_page("anatomy", **chosen, head="fc_sex")
    classes = [{metric.label: metric.value for metric in each.metric}["Classes"] for each in (page, other)]
    assert classes == ["3", "2"]
    said = shown(errors(open_page("anatomy", **chosen, head="fc_age")))
    assert said.endswith("those of this network: 'fc', 'fc_sex'. Choose one with “Head”.")


def test_the_classes_of_a_file_are_named_by_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    filling.save(randomise(build(cifar(8, classes=3))), tmp_path / "bare.safetensors", {})
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\n")
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "bare.safetensors"), "limit": "100 images"}
    page = open_page("saliency", **chosen, classes=str(tmp_path / "names.txt"))
    assert not errors(page)
    offered = " ".join(option for box in page.selectbox for option in box.options)
    assert all(name in offered for name in ("ant", "bee")), [box.options for box in page.selectbox]
    (tmp_path / "names.txt").write_text("ant\nbee\n")
    fewer = open_page("anatomy", **chosen, classes=str(tmp_path / "names.txt"))
    assert "names 2 classes, but the network has 3" in errors(fewer)
    outside = open_page("anatomy", **chosen, classes="/etc/hostname")
    assert "lies outside the folders that this app may use" in shown(errors(outside))


@pytest.mark.slow
def test_a_box_chooses_one_of_several_heads_and_none_where_no_name_tells(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    state = {published_name(key): value for key, value in randomise(build(cifar(8, classes=None))).state_dict().items()}
    for name, classes in (("class_classifier", 5), ("domain_classifier", 2)):
        state |= {f"{name}.weight": torch.randn(classes, 64), f"{name}.bias": torch.randn(classes)}
    torch.save(state, tmp_path / "two.pth")
    page = open_page("anatomy", model="a file of mine", weights=str(tmp_path / "two.pth"))
    box = next(box for box in page.selectbox if box.key == "head_of_file")
    assert "2 heads" in box.label
    assert box.options == ["none: its features alone", "class_classifier", "domain_classifier"]
    classes = []
    for name in ("class_classifier", "domain_classifier", ""):
        next(box for box in page.selectbox if box.key == "head_of_file").set_value(name).run()
        assert page.session_state["head"] == name
        classes.append({metric.label: metric.value for metric in page.metric}["Classes"])
    assert classes == ["5", "2", "no head"]


def test_a_link_to_a_network_that_is_not_there_is_told_of_until_one_is_chosen():
    page = open_page("anatomy", model="vgg16")
    for _ in range(2):
        (warning,) = page.sidebar.warning
        assert warning.value == "There is no network called vgg16 to choose here."
        page.run()
    page.selectbox(key="model").set_value("resnet56-fashion")
    assert not settle(page.run()).sidebar.warning


def test_one_of_timms_networks_is_chosen_by_its_name(tmp_path):
    pytest.importorskip("timm")
    page = open_page("anatomy", model="a network of timm's", timm="resnet26t.ra2_in1k")
    assert not errors(page)
    assert "deep stem" in " ".join(each.value for each in page.markdown) or "timm" in " ".join(
        each.value for each in page.markdown
    )
    assert "no network called" in errors(open_page("anatomy", model="a network of timm's", timm="vgg16"))
    assert "Type the name" in errors(open_page("anatomy", model="a network of timm's"))


def test_a_lesion_in_the_sidebar_is_on_every_page():
    page = open_page("anatomy", network_lesion="without:layer3.1")
    assert not errors(page)
    assert any("without layer3.1" in shown(each.value) for each in page.markdown)
    assert "Wanted without:BLOCK" in shown(errors(open_page("anatomy", network_lesion="no layer3.1")))
    assert "layer9.1" in shown(errors(open_page("anatomy", network_lesion="without:layer9.1")))


def test_a_file_is_read_as_one_of_timms_that_is_typed(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    torch.save(timm.create_model("resnetblur18", pretrained=False, num_classes=4).state_dict(), tmp_path / "blur.pth")
    chosen = {"model": "a file of mine", "weights": str(tmp_path / "blur.pth")}
    page = open_page("anatomy", **chosen, architecture="timm:resnetblur18")
    assert not errors(page)
    assert not any("--antialias" in shown(each.value) for each in page.warning)
