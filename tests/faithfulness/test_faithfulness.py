"""Curves counted by hand, and measures whose answers are known."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from features import faithfulness
from features.__main__ import main
from features.datasets import open_images
from features.errors import FeatureError
from features.faithfulness import curves, rank_correlation
from features.progress import finish
from features.results import Provenance
from features.saliency import ClassTarget, Explainer, StageTarget, Tap
from tests.store.test_store import break_image

VALUES = torch.tensor([[4.0, 1.0], [3.0, 2.0]])[None, None]  # (1, 1, 2, 2)
NOTHING = torch.zeros_like(VALUES)


def total(pixels):
    return pixels.sum((1, 2, 3))


def test_the_curves_of_a_sum_explained_by_its_own_terms_are_counted_by_hand():
    found = curves(total, VALUES, NOTHING, NOTHING, VALUES[:, 0], steps=4)
    np.testing.assert_array_equal(found.shares, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(found.deletion, [[10, 6, 3, 1, 0]])  # 4, 3, 2, 1 are taken away
    np.testing.assert_array_equal(found.insertion, [[0, 4, 7, 9, 10]])
    assert found.deletion_auc == pytest.approx((10 / 2 + 6 + 3 + 1) / 4)
    assert found.insertion_auc == pytest.approx((4 + 7 + 9 + 10 / 2) / 4)


@pytest.mark.parametrize(("sign", "deletion", "insertion"), [(1, 0, 1), (-1, 1, 0)], ids=["perfect", "inverted"])
def test_a_perfect_map_of_one_decisive_pixel_gives_zero_and_one_and_an_inverted_one_the_opposite(
    sign, deletion, insertion
):
    image = torch.zeros(1, 1, 32, 32)
    image[0, 0, 5, 7] = 1
    found = curves(total, image, torch.zeros_like(image), torch.zeros_like(image), sign * image[:, 0], steps=1024)
    assert found.deletion_auc == pytest.approx(deletion, abs=1 / 1024)
    assert found.insertion_auc == pytest.approx(insertion, abs=1 / 1024)


def test_insertion_begins_with_the_blurred_image_and_deletion_ends_with_nothing():
    blurred = torch.full_like(VALUES, 2.5)
    found = curves(total, VALUES, NOTHING - 1, blurred, VALUES[:, 0], steps=2)
    np.testing.assert_array_equal(found.insertion, [[10, 12, 10]])  # 4 and 3 in the place of 2.5 and 2.5
    np.testing.assert_array_equal(found.deletion, [[10, 1, -4]])


def test_the_order_of_a_map_counts_and_not_its_size():
    one = curves(total, VALUES, NOTHING, NOTHING, VALUES[:, 0], steps=3)
    other = curves(total, VALUES, NOTHING, NOTHING, (100 * VALUES**3)[:, 0], steps=3)
    np.testing.assert_array_equal(one.deletion, other.deletion)


def test_maps_of_another_size_are_refused():
    with pytest.raises(FeatureError, match="Enlarge"):
        curves(total, VALUES, NOTHING, NOTHING, VALUES[:, 0, :1])


def test_ranks_correlate_whatever_the_scale():
    values = np.array([[0.1, 3.0], [2.0, -5.0]])
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1)
    assert rank_correlation(values, -values) == pytest.approx(-1)
    assert np.isnan(rank_correlation(values, np.zeros((2, 2))))


def test_an_image_seen_through_a_map_is_itself_at_the_maximum_and_nothing_at_zero():
    maps = torch.tensor([[[2.0, 1.0], [0.0, -3.0]]])
    found = faithfulness.shown_through(VALUES, NOTHING, maps)
    assert found.flatten().tolist() == [4, 0.5, 0, 0]
    assert not faithfulness.shown_through(VALUES, NOTHING, -maps.abs()).any()


CURVES = faithfulness.Curves(np.array([0.0, 1.0]), np.zeros((2, 2)), np.zeros((2, 2)))


def pixels(n_images=2):
    return torch.randint(0, 256, (n_images, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_a_map_that_shows_all_loses_nothing(tiny_model):
    explainer = Explainer(tiny_model)
    found = explainer.maps(pixels(), [ClassTarget()] * 2)
    found.maps[Tap("layer3")][:] = 1
    trial = faithfulness.trial_of(explainer, pixels(), found, Tap("layer3"), steps=4)
    np.testing.assert_allclose(trial.seen, trial.full, rtol=1e-5)
    assert trial.drop.max() < 1e-5
    np.testing.assert_allclose(trial.full, found.probabilities.max(1), rtol=1e-4)
    np.testing.assert_allclose(trial.curves.deletion[:, 0], trial.full, rtol=1e-4)
    np.testing.assert_allclose(trial.curves.insertion[:, -1], trial.full, rtol=1e-4)


def test_batches_count_as_one_set_and_a_seed_gives_the_same_again(tiny_model, tiny_folder):
    images = open_images(str(tiny_folder)).take(range(3))
    explainer = Explainer(tiny_model)

    def trials():
        return finish(faithfulness.measure(explainer, images, ["gradcam", "random"], steps=4))

    one, again = trials(), trials()
    assert [trial.method for trial in one] == ["gradcam", "random"]
    assert one[0].ids == images.ids
    pd.testing.assert_frame_equal(faithfulness.table(one), faithfulness.table(again))
    assert list(one[0].randomised) == ["head", "layer3", "layer2", "layer1", "stem"]
    assert all(values.shape == (3,) and (np.abs(values) <= 1).all() for values in one[0].randomised.values())
    assert np.isfinite(one[0].infidelity).all()
    assert (one[0].sensitivity > 0).all()


def test_parts_are_drawn_anew_from_the_head_down_and_all_below_stays(tiny_model):
    own, order = tiny_model.network.state_dict(), ["head", "layer3", "layer2", "layer1", "stem"]
    for place, (part, other) in enumerate(faithfulness.drawn_anew(Explainer(tiny_model), seed=0)):
        assert part == order[place]
        drawn = {name.removeprefix("stages.").split(".")[0] for name, values in other.model.network.state_dict().items()
                 if not torch.equal(values, own[name])}  # fmt: skip
        assert drawn == set(order[: place + 1])


def test_maps_of_what_a_stage_makes_are_drawn_anew_from_that_stage_down(tiny_model):
    explainer = Explainer(tiny_model)
    found = finish(faithfulness.randomised(explainer, pixels(), [StageTarget("layer2")] * 2))
    own = explainer.maps(pixels(), [StageTarget("layer2")] * 2)
    assert list(found.redrawn) == ["layer2", "layer1", "stem"]  # head and layer3 have no part in it
    for tap in (Tap("layer1"), Tap("layer2")):
        np.testing.assert_array_equal(found.intact.maps[tap], own.maps[tap])
        correlations = found.correlations(tap)  # (3, 2)
        assert (np.abs(correlations) < 0.999).all()


def test_networks_that_are_drawn_anew_are_asked_for_the_class_that_the_intact_one_predicts(tiny_model):
    found = finish(faithfulness.randomised(Explainer(tiny_model), pixels(8), [ClassTarget(against=1)] * 8))
    for drawn in found.redrawn.values():
        np.testing.assert_array_equal(drawn.class_ids, found.intact.class_ids)
        assert (drawn.against_ids == 1).all()


@pytest.mark.slow
def test_what_is_measured_of_a_method_does_not_depend_on_the_others(tiny_model, tiny_folder):
    images = open_images(str(tiny_folder)).take(range(3))
    explainer = Explainer(tiny_model)
    one = finish(faithfulness.measure(explainer, images, ["gradcam", "random"], steps=4))
    other = finish(faithfulness.measure(explainer, images, ["random", "gradcam"], steps=4))
    pd.testing.assert_frame_equal(faithfulness.table(one), faithfulness.table(other[::-1]))


def test_a_probability_of_zero_loses_nothing():
    trial = faithfulness.Trial(
        "net",
        "gradcam",
        "layer3",
        ("a", "b"),
        None,
        np.array([0.0, 0.5]),
        np.array([0.0, 0.1]),
        None,
        None,
        {},
        Provenance(),
    )
    np.testing.assert_allclose(trial.drop, [0, 0.8])


def test_the_network_is_left_as_it_was(tiny_model, tiny_folder):
    before = {name: values.clone() for name, values in tiny_model.network.state_dict().items()}
    images = open_images(str(tiny_folder)).take(range(2))
    finish(faithfulness.measure(Explainer(tiny_model), images, ["hirescam"], steps=2))
    for name, values in tiny_model.network.state_dict().items():
        assert torch.equal(values, before[name])


def test_the_command_writes_a_table_and_the_curves(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["faithfulness", "sample", "--model", "resnet20-fashion,plain20-fashion", "--methods", "gradcam,random"]
    assert main([*arguments, "--limit", "4", "--steps", "4", "--quick", "--out", str(out)]) == 0
    table = pd.read_csv(out / "faithfulness.csv")
    assert table["model"].tolist() == ["resnet20-fashion"] * 2 + ["plain20-fashion"] * 2
    assert table["n_images"].tolist() == [4] * 4
    with np.load(out / "curves.npz") as arrays:
        assert arrays["resnet20-fashion/gradcam/deletion"].shape == (4, 5)
    content = json.loads((out / "manifest.json").read_text())
    assert len(content["trials"]) == 4
    assert "deletion" in capsys.readouterr().out


def test_the_command_says_which_images_it_left_out(tiny_folder, tmp_path, capsys):
    break_image(tiny_folder, "dog/1.png")
    arguments = ["faithfulness", str(tiny_folder), "--methods", "gradcam,random", "--steps", "2", "--quick"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "left out: dog/1.png" in capsys.readouterr().err
    content = json.loads((tmp_path / "out" / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert [row["image"] for row in content["left_out"]] == ["dog/1.png"]


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(faithfulness, "measure", lambda *_: pytest.fail("measured"))
    assert main(["faithfulness", "sample", "--limit", "2", "--out", str(tmp_path / "file")]) == 2


def test_a_map_without_ranks_is_left_out_of_the_mean_and_none_is_not_hidden():
    found = faithfulness.Trial(
        "net", "gradcam", "layer3", ("a", "b"), CURVES, np.ones(2), np.ones(2), None, None,
        {"head": np.array([0.5, np.nan]), "stem": np.array([np.nan, np.nan])}, Provenance(),
    )  # fmt: skip
    table = faithfulness.table([found])
    assert table["rank_correlation_randomised_to_head"].tolist() == [0.5]
    assert table["rank_correlation_randomised_to_stem"].isna().all()
    assert "infidelity" not in table


@pytest.mark.slow
def test_a_map_of_one_class_against_another_is_made_again_as_that(tiny_model):
    explainer = Explainer(tiny_model)
    alone, against = (
        finish(faithfulness.measure_maps(explainer, pixels(1), [explainer.maps(pixels(1), [target])]))[0].sensitivity
        for target in (ClassTarget(0), ClassTarget(0, 1))
    )
    assert alone != against


def test_the_command_names_methods_that_do_not_exist(tmp_path, capsys):
    assert (
        main(["faithfulness", "sample", "--methods", "gradcam,magic", "--limit", "2", "--out", str(tmp_path / "out")])
        == 2
    )
    assert "magic" in capsys.readouterr().err


def test_networks_with_something_said_of_them_are_named_each_by_itself(tmp_path):
    lesion = "resnet20-fashion?lesion=without:layer2.1,layer2.2"
    arguments = ["faithfulness", "sample", "--limit", "2", "--quick", "--methods", "random", "--steps", "2"]
    arguments += ["--model", lesion, "--model", "resnet20-fashion,plain20-fashion"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / "faithfulness.csv")
    assert list(table["model"]) == [
        "resnet20-fashion without layer2.1, layer2.2",
        "resnet20-fashion",
        "plain20-fashion",
    ]
