import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from features.errors import FeatureError
from features.networks.preprocessing import Preprocessing
from features.results import Provenance, finite, provenance


def test_provenance_tells_network_images_and_precision(tiny_model, tiny_images):
    told = provenance(tiny_model, tiny_images)
    assert (told.model, told.weights_sha256, told.weights) == ("tiny", tiny_model.digest, "drawn")
    assert told.preprocessing == tiny_model.spec.preprocessing
    assert (told.images, told.images_digest) == ("tiny", tiny_images.digest)
    assert (told.torch, told.precision, told.device) == (torch.__version__, "fp32", "cpu")
    assert told.variant is None


def test_what_was_done_to_a_network_is_told(tiny_model):
    assert provenance(replace(tiny_model, variant="without layer1.0")).variant == "without layer1.0"


def test_in_files_facts_and_settings_stand_side_by_side_and_what_is_unknown_does_not(tiny_model):
    content = provenance(tiny_model, precision="bf16").with_settings(stage="layer3", seed=3).as_dict()
    assert set(content) == {
        "model", "weights_sha256", "weights", "preprocessing", "torch", "precision", "device", "stage", "seed"
    }  # fmt: skip
    assert content["preprocessing"]["crop"] == 32


def test_provenance_comes_back_from_json_as_it_was(tiny_model, tiny_images):
    told = provenance(tiny_model, tiny_images).with_settings(steps=4)
    told = replace(told, engine="torch", versions={"pillow": "12.0"})
    assert Provenance.from_dict(json.loads(json.dumps(told.as_dict()))) == told
    assert Provenance.from_dict({}) == Provenance()


def test_later_settings_take_the_place_of_earlier_ones_and_change_nothing_else():
    first = Provenance(model="drawn").with_settings(seed=0, steps=4)
    assert first.with_settings(seed=1).as_dict() == {"model": "drawn", "seed": 1, "steps": 4}
    assert first.settings["seed"] == 0


def test_a_preprocessing_that_cannot_be_is_refused():
    numbers = {"resize": 0, "crop": 32, "mean": [0.5], "std": [0.5]}
    with pytest.raises(FeatureError, match="Wanted sides"):
        Provenance.from_dict({"preprocessing": numbers})
    assert Provenance.from_dict({"preprocessing": numbers | {"resize": 32}}).preprocessing == Preprocessing(
        32, 32, (0.5,), (0.5,)
    )


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite_are_refused(value, tiny_model):
    good = torch.ones(3)
    assert finite(good, tiny_model) is good
    with pytest.raises(FeatureError, match="tiny puts out NaN or infinite"):
        finite(torch.tensor([1.0, value]), tiny_model)


def test_folders_of_features_are_opened_without_pytorch():
    code = "import sys; import features.store; print({'torch', 'pandas'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_nothing_tells_of_weights_is_told_with_what_they_were_taken_for(tiny_model):
    guessed = replace(tiny_model, spec=replace(tiny_model.spec, assumed=("the input", "max-pool after the stem")))
    told = provenance(guessed)
    assert told.network == guessed.spec.architecture.describe()
    assert Provenance.from_dict(json.loads(json.dumps(told.as_dict()))) == told
    assert told.as_dict()["assumed"] == ["the input", "max-pool after the stem"]
