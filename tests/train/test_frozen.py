"""What frozen parts put out is kept, and a training on it is that on images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from features.errors import ImageError
from features.networks.architecture import cifar
from features.train import fit, frozen
from features.train.parts import Parts
from features.train.start import Start
from tests.train.runs import ONE_STEP, same_weights, source, squares, trained

SAME = replace(ONE_STEP, epochs=3, batch_size=5, crop="centre", crop_padding=2, learning_rate=0.02)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("freeze", "more"),
    [
        ("all-but-head", {}),
        ("stem,layer1", {"norm_statistics": "frozen"}),
        ("stem,layer2", {}),
        ("all-but-head", {"sampling": "balanced", "held_back": 0.3, "ema_decay": 0.5}),
    ],
)
def test_it_is_the_same_training_up_to_rounding(freeze, more, monkeypatch, tmp_path):
    start, recipe = Start.of(source()), replace(SAME, freeze=freeze, **more)
    seen = []
    monkeypatch.setattr(frozen, "_put_out", lambda *given, make=frozen._put_out: seen.append(1) or make(*given))
    found = trained(tmp_path, recipe, "kept.pt", start=start, images=squares(18))
    assert len(seen) == 2  # one for the shape
    monkeypatch.setattr(frozen, "MOST_BYTES", 0)
    wanted = trained(tmp_path, recipe, "anew.pt", start=start, images=squares(18))
    for name, tensor in wanted.network.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    for one, other in zip(found.curve, wanted.curve, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)
    assert {path.name for path in tmp_path.iterdir()} == {"kept.pt", "anew.pt"}  # it goes when the run ends


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("changed", [{"flip": 0.5}, {"unfreeze_epochs": 2}, {"freeze": "layer2"}, {"mixup": 0.2}])
def test_nothing_is_kept_where_it_would_differ_or_where_nothing_in_front_is_frozen(changed, monkeypatch, tmp_path):
    monkeypatch.setattr(frozen, "_put_out", lambda *_: pytest.fail("it is kept"))
    recipe = replace(SAME, **{"epochs": 1, "freeze": "all-but-head", **changed})
    trained(tmp_path, recipe, start=Start.of(source()))


@pytest.mark.usefixtures("here")
def test_a_run_that_was_killed_reads_what_was_kept_and_ends_as_an_undisturbed_one(monkeypatch, tmp_path):
    start, recipe = Start.of(source()), replace(SAME, freeze="stem,layer1")
    whole = trained(tmp_path, recipe, "whole.pt", start=start)
    task = fit.fit(start, squares(), squares(6, seed=1), recipe, tmp_path / "run.pt")
    for report in task:
        if report.note.startswith("epoch 2"):
            break
    task.close()
    (kept,) = tmp_path.glob("*.npy")
    assert np.load(kept).shape == (12, 16, 12, 12)
    written = kept.stat().st_mtime_ns
    for report in (task := fit.fit(start, squares(), squares(6, seed=1), recipe, tmp_path / "run.pt")):
        if report.unit == "batch":
            break
    task.close()
    assert kept.stat().st_mtime_ns == written
    assert same_weights(trained(tmp_path, recipe, start=start).network, whole.network)


@pytest.mark.usefixtures("here")
def test_an_image_that_cannot_be_read_is_named(tiny_folder, tiny_images, tmp_path):
    (tiny_folder / "fox" / "3.png").write_bytes(b"torn")
    with pytest.raises(ImageError, match=r"^fox/3\.png is not an image.*Mend it or take it out"):
        trained(tmp_path, replace(SAME, freeze="all-but-head"), start=Start.of(source()), images=tiny_images)
    assert not [*tmp_path.glob("*.npy")]


def test_a_neck_that_learns_sees_maps_and_not_their_means():
    network = source(architecture=replace(cifar(8, classes=3), preactivation=True))
    assert not Parts(network.network, replace(SAME, freeze="all-but-head")).unchanging
