"""What of the app's work goes to a process of its own, and that it gives there what it gives here."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from features import channels, engine, residual, saliency
from features.channels import Ascent
from features.datasets import Columns, Origin, open_images
from features.datasets.corrections import Corrections, corrected
from features.embed import MapSettings
from features.embed import stage_maps as stage_maps_of
from features.networks import filling, zoo
from features.networks.hypotheses import Verdict
from features.networks.naming import NetworkName
from features.progress import finish
from features.saliency import ClassTarget, StageTarget
from viz.cached import channels as cached_channels
from viz.cached import embed, estimates, evaluate, extract, faithfulness
from viz.cached import residual as cached_residual
from viz.cached import saliency as cached_saliency
from viz.cached.channel_pictures import maximisation_work
from viz.cached.elsewhere import placed
from viz.cached.server import uploads
from viz.jobs import LONG, SHORT, Work, results, tasks
from viz.jobs.tasks import TASKS, resolved


@pytest.fixture(scope="module")
def model():
    return zoo.load("resnet20-fashion")


@pytest.fixture(scope="module")
def images():
    return open_images("sample").sample(40).sample(24)


@pytest.fixture
def is_long(monkeypatch):
    monkeypatch.setattr(estimates, "seconds", lambda model, images, passes: 1000)
    monkeypatch.setattr(embed, "SECONDS_A_POINT", 1000)
    monkeypatch.setattr(embed, "SECONDS_A_PROBE", 1000)
    monkeypatch.setattr(evaluate, "SECONDS_A_PAIR", 1000)
    monkeypatch.setattr(evaluate, "SECONDS_A_SCORE", 1000)


def order_of(work):
    """What a process would be told: the order of the work, and what is attached to it."""
    assert isinstance(work.make_task, partial)  # and no closure over a network
    order, durable, attached = work.make_task.args
    return order, durable, attached or {}


PICTURE = Image.fromarray(np.arange(28 * 28, dtype=np.uint8).reshape(28, 28) // 4)


def explained(model, task, target):
    return cached_saliency.saliency_work(task, model, "digest", PICTURE, target, "key", saliency.CAM)


def likeness(model):
    return StageTarget("layer2", cached_saliency.framed_picture(model, PICTURE.rotate(90)), "another")


def maps_of(model):
    pixels = cached_saliency.framed_picture(model, PICTURE)[None]  # (1, C, S, S)
    return [finish(saliency.explain(saliency.Explainer(model), pixels, [ClassTarget()], saliency.CAM))]


STAGES, SETTINGS = ("layer2", "layer3"), MapSettings("umap", 5)


def features_of(model, images):
    return finish(extract.features_work(model, images).make_task())


def stage_maps(model, images):
    features = features_of(model, images)
    return finish(stage_maps_of({name: features.stages[name] for name in STAGES}, SETTINGS))


WORKS = {
    "features": lambda model, images: extract.features_work(model, images),
    "features with a lesion": lambda model, images: extract.features_work(
        residual.lesioned(model, residual.scaled(0.5, "layer2.1")), images
    ),
    "features without channels": lambda model, images: extract.features_work(
        channels.without(model, "layer2.1", [5, 3]), images
    ),
    "statistics": cached_residual.statistics_work,
    "sweep": lambda model, images: cached_residual.sweep_work(model, images, residual.WITHOUT),
    "paths": lambda model, images: cached_residual.paths_work(model, images.sample(4)),
    "maps": lambda model, images: embed.maps_work(model.key, features_of(model, images), STAGES, SETTINGS),
    "reseeded": lambda model, images: embed.reseeded_work(
        model.key, features_of(model, images), stage_maps(model, images)
    ),
    "separation": lambda model, images: embed.separation_work(
        model.key, features_of(model, images), stage_maps(model, images), "layer3"
    ),
    "evaluation": lambda model, images: evaluate.evaluation_work(model, images, "by order"),
    "retrieval": lambda model, images: evaluate.retrieval_work(model, features_of(model, images)),
    "novelty": lambda model, images: evaluate.novelty_work(
        model, features_of(model, images), features_of(model, open_images("sample").sample(12))
    ),
    "channels": cached_channels.responses_work,
    "channel_sweep": lambda model, images: cached_channels.sweep_work(model, images, "layer3.2", (1, 5)),
    "maximise": lambda model, images: maximisation_work(model, "layer1.0", 3, Ascent(steps=4)),
    "explain": lambda model, images: explained(model, cached_saliency.EXPLAIN, ClassTarget(3)),
    "explain a likeness": lambda model, images: explained(model, cached_saliency.EXPLAIN, likeness(model)),
    "randomised": lambda model, images: explained(model, cached_saliency.RANDOMISED, ClassTarget()),
    "faithfulness": lambda model, images: faithfulness.faithfulness_work(model, "digest", PICTURE, maps_of(model)),
}


def same(one, other):
    """Whether two results hold the same values; of what is measured in time nothing is compared."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(
            same(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__
        )
    return one == other or (one != one and other != other)


@pytest.mark.parametrize("name", list(WORKS))
def test_another_process_gives_what_this_one_gives(name, model, images, is_long, tmp_path, monkeypatch):
    with monkeypatch.context() as short:
        short.setattr(estimates, "seconds", lambda model, images, passes: 1)
        short.setattr(embed, "SECONDS_A_POINT", 0)
        short.setattr(embed, "SECONDS_A_PROBE", 0)
        short.setattr(evaluate, "SECONDS_A_PAIR", 0)
        short.setattr(evaluate, "SECONDS_A_SCORE", 0)
        here = WORKS[name](model, images)
        assert (here.kind, here.lasting) == (SHORT, False)
    if name in ("maps", "reseeded", "separation", "retrieval", "novelty"):  # whose features are read here in any case
        monkeypatch.setattr(estimates, "seconds", lambda model, images, passes: 1)
    work = WORKS[name](model, images)
    order, durable, attached = order_of(work)
    assert (work.key, work.kind, work.lasting, durable) == (here.key, LONG, True, True)
    results.write(tmp_path / "attached", dict(attached))
    told = json.loads(json.dumps(order.arguments))
    there = finish(TASKS[order.task].run(**resolved(told), **results.read(tmp_path / "attached")))
    results.write(tmp_path / "result", there)
    assert same(finish(here.make_task()), results.read(tmp_path / "result"))


def test_every_task_of_a_process_is_tried():
    of_the_app = {name for name, task in TASKS.items() if task.run.__module__ == tasks.__name__}
    assert of_the_app == {name.split()[0] for name in WORKS} | {"extract"}  # which tests of processes run


def test_what_changed_since_it_was_chosen_is_refused(model, images):
    with pytest.raises(Exception, match="resnet20-fashion has changed since it was chosen"):
        resolved({"model": {"name": "resnet20-fashion", "key": "0" * 64}})
    with pytest.raises(Exception, match="The images of sample have changed since they were chosen"):
        resolved({"images": tasks.told_of_images(images) | {"limits": [30]}})


def test_what_was_tested_on_images_here_is_told(model, tmp_path):
    path, settings = tmp_path / "bare.safetensors", (("mean", "0.3"), ("std", "0.4"))
    filling.save(model.network, path, {})
    same_as = zoo.load(NetworkName(weights=path, settings=settings))
    tested = replace(same_as, name=NetworkName(weights=path), verdict=Verdict((), (), settings, ("mean",)))
    told = tasks.told_of_model(tested)
    assert resolved({"model": told})["model"].key == tested.key != zoo.load(weights=path).key


def test_another_process_opens_a_table_by_the_columns_that_were_chosen(tmp_path):
    for number in range(6):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"{number}.png")
    rows = "".join(f"{n}.png,{n}.png,{'ab'[n % 2]},{'xyz'[n % 3]}\n" for n in range(6))
    (tmp_path / "list.csv").write_text(f"path,copy,label,kind\n{rows}")
    columns = Columns("copy", "kind")
    chosen = open_images(str(tmp_path / "list.csv"), columns=columns).sample(4)
    told = json.loads(json.dumps(tasks.told_of_images(chosen)))
    there = resolved({"images": told})["images"]
    assert (there.digest, there.class_names) == (chosen.digest, ("x", "y", "z"))
    with pytest.raises(Exception, match="have changed since they were chosen"):
        resolved({"images": told | {"columns": {"path": "", "label": ""}}})


def test_another_process_opens_a_set_with_the_labels_that_were_corrected(images):
    told = Corrections(images.digest, np.array([1]), (("Coat",),))
    chosen = corrected(images, told)
    there = resolved({"images": json.loads(json.dumps(tasks.told_of_images(chosen)))})["images"]
    assert (there.digest, there.label_name(1), there.name) == (chosen.digest, "Coat", chosen.name)


def long_work(**arguments):
    return placed(Work("key", lambda: None, LONG), "statistics", **arguments)


def test_a_network_of_this_process_alone_stays_here_and_so_do_images_without_a_source(model, images):
    assert not isinstance(long_work(model=replace(model, name=None), images=images).make_task, partial)
    stays = long_work(model=model, images=images.take([1, 2, 3]))
    assert not isinstance(stays.make_task, partial)
    assert stays.lasting  # nevertheless: whoever pressed a button wants it


def test_what_takes_a_moment_stays_here(model, images):
    assert placed(work := Work("key", lambda: None, SHORT), "statistics", model=model, images=images) is work


def test_what_is_made_of_uploads_goes_with_the_server(model, images, tmp_path):
    def durable(weights=None, source="sample", **arguments):
        named = replace(model, name=replace(model.name, weights=weights))
        return order_of(long_work(model=named, images=replace(images, origin=Origin(source)), **arguments))[1]

    assert durable()
    assert durable(tmp_path / "a.pt", str(tmp_path))
    assert not durable(uploads() / "a.pt")
    assert not durable(None, str(uploads() / "pictures"))
    assert not durable(folder=uploads() / "features")
    assert not order_of(placed(Work("key", lambda: None, LONG), "explain", {"pixels": 1}, durable=False))[1]


def test_an_extraction_tells_of_its_folder_and_plan(model, images, is_long, tmp_path):
    plan = engine.choose(model.network, precision="fp32", engine="torch")
    order, durable, attached = order_of(extract.extract_work(model, images, plan, tmp_path, 8, "npy"))
    assert (order.task, durable, attached) == ("extract", True, {})
    assert order.arguments["folder"] == str(tmp_path)
    assert order.arguments["how"]["engine"] == "torch"
    assert order.arguments["images"] == {
        "source": "sample", "limits": [40, 24], "columns": {"path": "", "label": ""}, "digest": images.digest
    }  # fmt: skip
    assert order.arguments["model"] == {"name": "resnet20-fashion", "key": model.key}
