"""Whose choice of precision and engine a run takes: the manifest's before a timing's."""

import json
from dataclasses import replace

import pytest

from features import engine, extract
from features.__main__ import main
from features.engine import choice, registry, timing
from features.engine.timing import Timing
from features.errors import FeatureError
from features.progress import finish
from features.store import StoreError, read_manifest


@pytest.fixture
def clock_says(monkeypatch, tmp_path):
    """clock_says(name): from now on timings find this way twice as fast; they are not remembered."""
    monkeypatch.setattr(timing, "keep", lambda *_: None)
    for module in (registry, choice):
        monkeypatch.setattr(module, "has_fast_bf16", lambda device: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    def says(fastest: str) -> None:
        def measure(runners, *_):
            names = [f"{plan.precision} {plan.engine}" for plan in runners]
            return Timing({name: 0.5 if name == fastest else 1.0 for name in names}, {})

        monkeypatch.setattr(timing, "measure", measure)

    return says


def open_plan(model, **choices) -> engine.Plan:
    return engine.choose(model.network, **{"device": "cpu", **choices})


def write(model, images, folder, plan, size=4, format="parquet"):
    return finish(extract.to_folder(model, images, plan, folder, size, format))


@pytest.mark.parametrize("format", ["parquet", "npy"])
def test_the_choice_stands_in_the_manifest_and_a_later_timing_changes_nothing(
    format, clock_says, tiny_model, tiny_images, tmp_path
):
    clock_says("bf16 torch-plain")
    plan = open_plan(tiny_model)
    assert plan.is_open
    done = write(tiny_model, tiny_images, tmp_path / "out", plan, format=format)
    assert (done.settings["precision"], done.settings["engine"]) == ("bf16", "torch-plain")
    assert "ordinary convolutions" in done.made_with["runs_on"]
    clock_says("fp32 torch")
    again = write(tiny_model, tiny_images, tmp_path / "out", plan, format=format)
    assert again.without_results() == done.without_results()
    assert again.images_per_second == done.images_per_second  # it was not read anew
    decided = extract.decide(tiny_model, plan, tmp_path / "out", 4)
    assert (decided.precision, decided.engine, decided.why) == (
        "bf16",
        "torch-plain",
        f"as {tmp_path / 'out'} was begun",
    )


@pytest.mark.parametrize("format", ["parquet", "npy"])
def test_a_run_that_was_stopped_goes_on_as_it_was_begun(
    format, clock_says, tiny_model, tiny_images, tmp_path, monkeypatch
):
    monkeypatch.setattr("features.store.manifest.PART_IMAGES", 4)
    clock_says("bf16 torch")
    plan = open_plan(tiny_model)
    task = extract.to_folder(tiny_model, tiny_images, plan, tmp_path / "out", 4, format)
    while next(task).done < 8:
        pass
    task.close()
    clock_says("fp32 torch")
    done = write(tiny_model, tiny_images, tmp_path / "out", plan, format=format)
    assert done.n_rows == 12
    assert (done.settings["precision"], done.settings["engine"]) == ("bf16", "torch")
    assert read_manifest(tmp_path / "out").settings["precision"] == "bf16"


def test_what_is_asked_for_is_not_overruled_by_a_folder(clock_says, tiny_model, tiny_images, tmp_path):
    clock_says("bf16 torch")
    write(tiny_model, tiny_images, tmp_path / "out", open_plan(tiny_model))
    exact = open_plan(tiny_model, precision="fp32", engine="torch")
    assert extract.decide(tiny_model, exact, tmp_path / "out") == exact
    with pytest.raises(StoreError, match='precision was "bf16" and is "fp32"'):
        write(tiny_model, tiny_images, tmp_path / "out", exact)
    half_open = open_plan(tiny_model, precision="bf16")
    assert extract.decide(tiny_model, half_open, tmp_path / "out").engine == "torch"


def test_other_settings_are_still_refused_by_their_names_alone(clock_says, tiny_model, tiny_images, tmp_path):
    clock_says("bf16 torch")
    write(tiny_model, tiny_images, tmp_path / "out", open_plan(tiny_model))
    clock_says("fp32 torch")
    with pytest.raises(StoreError) as error:
        write(tiny_model, tiny_images, tmp_path / "out", open_plan(tiny_model), size=5)
    assert "batch_size was 4 and is 5" in str(error.value)
    assert "precision" not in str(error.value)


def test_a_run_begun_with_what_is_not_here_says_so(clock_says, tiny_model, tiny_images, tmp_path):
    clock_says("bf16 torch")
    out = tmp_path / "out"
    write(tiny_model, tiny_images, out, open_plan(tiny_model))
    content = json.loads((out / "manifest.json").read_text())
    content["settings"]["engine"] = "openvino"
    (out / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(FeatureError, match="was begun with OpenVINO, which cannot be used: OpenVINO is not installed"):
        extract.decide(tiny_model, open_plan(tiny_model), out)
    assert extract.decide(tiny_model, open_plan(tiny_model), out, anew=True).engine == "torch"


def test_another_networks_choice_is_not_taken_over(clock_says, tiny_model, tiny_images, tmp_path):
    clock_says("bf16 torch-plain")
    write(tiny_model, tiny_images, tmp_path / "out", open_plan(tiny_model))
    clock_says("fp32 torch")
    other = replace(tiny_model, digest="1" * 64)
    decided = extract.decide(other, open_plan(other), tmp_path / "out")
    assert (decided.precision, decided.engine) == ("fp32", "torch")
    with pytest.raises(StoreError, match="weights_sha256"):
        write(other, tiny_images, tmp_path / "out", open_plan(other))
    done = finish(extract.to_folder(other, tiny_images, open_plan(other), tmp_path / "out", 4, replace=True))
    assert (done.settings["precision"], done.settings["engine"]) == ("fp32", "torch")


def test_a_search_for_the_fastest_is_told_of_only_where_there_is_one(
    clock_says, tiny_folder, tmp_path, capsys, monkeypatch
):
    """Of a folder that was begun and of an earlier timing it is known already."""
    written = {}
    clock_says("bf16 torch")
    monkeypatch.setattr(timing, "keep", written.__setitem__)
    monkeypatch.setattr(timing, "kept", lambda file, plans: written.get(file))
    said = []
    for name in ("first", "first", "second"):
        assert main(["extract", str(tiny_folder), "--device", "cpu", "--out", str(tmp_path / name)]) == 0
        said.append("finding the fastest" in capsys.readouterr().err)
    assert said == [True, False, False]


@pytest.mark.parametrize("content", ["", "{}", '{"version": 1}', '{"maps": []}', '{"version": 2, "settings": {}}'])
def test_a_folder_that_tells_nothing_decides_nothing(content, clock_says, tiny_model, tmp_path):
    clock_says("fp32 torch")
    plan = open_plan(tiny_model)
    assert extract.begun_with(tiny_model, plan, tmp_path) is None
    (tmp_path / "manifest.json").write_text(content)
    assert extract.begun_with(tiny_model, plan, tmp_path) is None
    assert extract.decide(tiny_model, plan, tmp_path).precision == "fp32"


def test_a_run_on_another_kind_of_device_decides_nothing(clock_says, tiny_model, tiny_images, tmp_path):
    clock_says("bf16 torch")
    plan = open_plan(tiny_model)
    write(tiny_model, tiny_images, tmp_path / "out", plan)
    assert extract.begun_with(tiny_model, plan, tmp_path / "out") is not None
    assert extract.begun_with(tiny_model, replace(plan, device="cuda:1"), tmp_path / "out") is None
