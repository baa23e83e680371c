"""What the Saliency page computes and offers, beyond that every view stands."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from streamlit.testing.v1 import AppTest

from features import saliency
from features.errors import FeatureError
from features.networks import catalogue
from features.saliency import METHODS, Method, Need
from tests.viz.test_pages import PATIENCE, SCRIPT, errors, open_page, settle
from viz.cached import warm_up
from viz.cached.networks import load_model
from viz.cached.saliency import RANDOMISED, TASKS, explainer_of, saliency_ledger, saliency_maps


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "started", lambda: SimpleNamespace(device="the CPU", waiting=nullcontext))


@pytest.fixture
def passes():
    """A list that grows by the batch size of every forward pass of the page's network."""
    model = load_model(catalogue.DEFAULT, None, 0.0)
    saliency_maps.clear()
    saliency_ledger.clear()
    seen: list[int] = []
    stem = explainer_of(model.key, model).network.stem
    hook = stem.register_forward_hook(lambda _module, _inputs, output: seen.append(len(output)))
    yield seen
    hook.remove()


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 1),
        ({"class": "Bag (8)"}, 1),
        ({"method": "LayerCAM", "class": "Bag (8)", "against": "Coat (4)"}, 1),
        ({"view": "branch and shortcut"}, 1),
        ({"view": "block timeline"}, 1),
        ({"view": "methods"}, 4),  # one for each of the four methods
        ({"view": "logit ledger"}, 2),  # the ledger does not say what the other classes get
        ({"against": "the runner-up"}, 2),  # which is known only once the classes are
    ],
    ids=str,
)
def test_the_maps_on_screen_bring_the_probabilities_with_them(query, count, passes):
    app = open_page("saliency", **query)
    assert not errors(app)
    assert app.get("plotly_chart")
    assert sum(passes) == count
    app.run()
    assert sum(passes) == count


def test_the_likeliest_classes_are_shown_while_a_view_says_what_is_wrong(passes):
    app = open_page("saliency", view="methods")
    app.multiselect(key="methods").set_value([]).run()
    assert "No method is chosen" in errors(app)
    assert len(app.get("plotly_chart")) == 1


def test_the_likeliest_classes_are_shown_while_a_view_waits(monkeypatch):
    end = threading.Event()

    def waiting(*_arguments, **_settings):
        end.wait(PATIENCE)
        raise FeatureError("It was only waited for.")
        yield

    monkeypatch.setitem(TASKS, RANDOMISED, waiting)
    app = AppTest.from_string(SCRIPT.format(page="saliency"), default_timeout=PATIENCE)
    app.query_params["view"] = "randomised weights"
    try:
        app.run()
        assert any("Cancel" in button.label for button in app.button)
        assert len(app.get("plotly_chart")) == 1
    finally:
        end.set()
    settle(app)
    if not errors(app):  # the job had ended before anybody looked
        app.run()
    assert "only waited for" in errors(app)
    assert len(app.get("plotly_chart")) == 1


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS))
    METHODS.add(
        Method(
            name="toycam",
            title="Toy-CAM",
            shows="The sum over channels.",
            paper="nobody 2000",
            run=saliency.by_formula("toycam"),
            needs=(Need.ACTIVATION,),
            weights=lambda a, g: torch.ones_like(a[:, :, :1, :1]),
        )
    )


def test_a_new_method_is_offered_and_says_what_it_shows(toy):
    app = open_page("saliency", method="Toy-CAM")
    assert not errors(app)
    assert "Toy-CAM" in app.selectbox(key="method").options
    assert any("Toy-CAM for" in header.value for header in app.subheader)
    assert any("The sum over channels" in caption.value for caption in app.caption)


def test_every_method_but_the_ledger_is_offered():
    options = open_page("saliency").selectbox(key="method").options
    assert options == [method.title for name, method in METHODS.items() if name != "ledger"]


@pytest.mark.slow
@pytest.mark.parametrize("parameter", ["proof", "faithfulness"])
def test_a_link_to_measured_maps_opens_them_under_the_old_name_too(parameter):
    app = open_page("saliency", **{parameter: "true"})
    assert not errors(app)
    assert app.toggle(key="faithfulness").value
    assert app.query_params["faithfulness"] == "true"  # to be handed on as it is
    assert list(app.dataframe[0].value["map"]) == ["Grad-CAM"] * 3 + ["random"]
    assert "proof" not in app.query_params


def test_maps_are_not_measured_unasked():
    assert not open_page("saliency").dataframe


def test_a_worse_picture_moves_prediction_maps_and_branches():
    app = open_page("saliency", view="worse picture", corruption="noise", strength="5")
    assert not errors(app)
    assert len(app.get("plotly_chart")) == 3  # as it is, worse, branches
    assert any("0.1 of the range of pixels" in caption.value for caption in app.caption)
    app.slider(key="strength").set_value(0).run()
    assert not errors(app)
    assert any(caption.value == "as it is" for caption in app.caption)
