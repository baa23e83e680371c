"""Branch statistics against hand-made blocks and a plain loop over torchvision's own modules."""

import hashlib
import json
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from features import extract, residual
from features.__main__ import main
from features.datasets import ImageSet, decoding, open_images
from features.errors import DatasetError, FeatureError
from features.evaluate import evaluate
from features.networks import architecture, canonical, filling, zoo
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.progress import finish
from tests.random_networks import randomise


def noise(n_images, side, seed=0):
    """An unlabelled set of random RGB pictures, made in memory."""
    values = np.random.default_rng(seed).integers(0, 256, (n_images, side, side, 3), dtype=np.uint8)
    ids = tuple(f"{index}.png" for index in range(n_images))
    return ImageSet("noise", ids, None, (), "0" * 64, lambda index: Image.fromarray(values[index]))


def model_of(net, shape, side):
    preprocessing = Preprocessing(side, side, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return zoo.Model(net, ModelSpec("drawn", "", shape, preprocessing, (), "", ""), "0" * 64)


def one_block(shortcut, branch):
    """A model of one residual block on RGB pictures of 4 px."""
    block = canonical.ResidualBlock(shortcut, branch, nn.ReLU())
    head = nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1), fc=nn.Linear(3, 2)))
    net = canonical.ResidualNetwork(nn.Sequential(nn.Identity()), {"layer1": [block]}, head)
    return model_of(canonical.freeze(net), architecture.cifar(8, classes=2), 4)


class Times(nn.Module):
    """Every channel times a number of its own."""

    def __init__(self, *factors):
        super().__init__()
        self.factors = torch.tensor(factors)[:, None, None]

    def forward(self, x):
        return x * self.factors


def statistics_of(shortcut, *factors):
    return finish(residual.statistics(one_block(shortcut, nn.Sequential(Times(*factors))), noise(3, 4)))


def test_a_branch_of_zeros_has_ratio_zero_and_no_angle():
    found = statistics_of(nn.Identity(), 0.0, 0.0, 0.0)
    assert (found.ratios == 0).all()
    assert np.isnan(found.cosines).all()


@pytest.mark.parametrize("factor", [1.0, 2.5, -1.0, -0.5])
def test_a_branch_that_repeats_the_shortcut_has_its_factor_as_ratio_and_points_along_it(factor):
    found = statistics_of(nn.Identity(), factor, factor, factor)
    np.testing.assert_allclose(found.ratios, abs(factor), rtol=1e-6)
    np.testing.assert_allclose(found.cosines, np.sign(factor), rtol=1e-6)


def test_orthogonal_branch_and_shortcut_have_cosine_zero():
    model = one_block(Times(1.0, 0.0, 0.0), nn.Sequential(Times(0.0, 1.0, 1.0)))
    found = finish(residual.statistics(model, noise(3, 4)))
    np.testing.assert_array_equal(found.cosines, 0)


def test_a_network_without_shortcuts_has_no_ratios_and_no_angles(tiny_images):
    shape = architecture.cifar(8, "none")
    model = model_of(canonical.freeze(canonical.build(shape)), shape, 16)
    found = finish(residual.statistics(model, tiny_images))
    assert np.isnan(found.ratios).all()
    assert np.isnan(found.cosines).all()
    assert set(found.shortcuts) == {"none"}
    assert residual.blocks(found)[["ratio_mean", "ratio_median", "ratio_p05", "cosine_mean"]].isna().all(axis=None)


def half_and_half():
    """Two pictures, white above and black below: +2 and -2 once normalised."""
    values = np.zeros((4, 4, 3), dtype=np.uint8)
    values[:2] = 255
    return ImageSet("halves", ("a", "b"), None, (), "0" * 64, lambda index: Image.fromarray(values))


def test_negative_share_and_dead_channels_are_those_counted_by_hand():
    # The sum is x, -x and 0 in the three channels, with x = +2 above and -2 below.
    model = one_block(nn.Identity(), nn.Sequential(Times(0.0, -2.0, -1.0)))
    found = finish(residual.statistics(model, half_and_half()))
    assert found.negative.tolist() == [pytest.approx(1 / 3)]  # half of the first two channels, none of the third
    assert found.dead.tolist() == [1]
    assert found.widths.tolist() == [3]


def test_a_channel_that_is_alive_in_one_image_of_one_batch_is_not_dead(monkeypatch):
    monkeypatch.setattr(decoding, "batch_size", lambda preprocessing: 1)
    dark, bright = np.zeros((4, 4, 3), dtype=np.uint8), np.full((4, 4, 3), 255, dtype=np.uint8)
    pictures = [dark, bright, dark]  # -2 and +2 once normalised
    images = ImageSet("three", ("a", "b", "c"), None, (), "0" * 64, lambda index: Image.fromarray(pictures[index]))
    found = finish(residual.statistics(one_block(nn.Identity(), nn.Sequential(Times(0.0, 0.0, 0.0))), images))
    assert found.dead.tolist() == [0]
    assert found.negative.tolist() == [pytest.approx(2 / 3)]


def plain_loop(source, x, stages):
    """(N, B) ratios and cosines, and per block negative share, dead channels, variances and effective rank.

    One image and one value at a time; x: (N, C, H, W), the first block's input.
    """
    ratios, cosines, negative, dead, variances, ranks, alike, kept, sizes = ([] for _ in range(9))
    for stage in stages:
        for block in stage:
            shortcut = x.clone() if block.downsample is None else block.downsample(x.clone()).clone()
            branch = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x.clone()))))).clone()
            if hasattr(block, "conv3"):
                branch = block.bn3(block.conv3(torch.relu(branch))).clone()
            total = shortcut.clone() + branch.clone()
            ratios.append([float(f.norm() / s.norm()) for f, s in zip(branch, shortcut, strict=True)])
            cosines.append(
                [
                    float(torch.cosine_similarity(f.ravel(), s.ravel(), dim=0))
                    for f, s in zip(branch, shortcut, strict=True)
                ]
            )
            negative.append(float((total < 0).double().mean()))
            variances.append(
                [float(part.double().var((0, 2, 3), correction=0).mean()) for part in (shortcut, branch, total)]
            )
            before, x = x.clone(), block(x.clone())
            dead.append(sum(not x[:, channel].any() for channel in range(x.shape[1])))
            pooled = x.mean((2, 3)).double().numpy()
            # Squared singular values are the covariance's eigenvalues but for a factor, and those left out are 0.
            spectrum = np.linalg.svd(pooled - pooled.mean(0), compute_uv=False) ** 2
            ranks.append(spectrum.sum() ** 2 / (spectrum**2).sum())
            k, m = (part.mean((2, 3)).double().numpy() for part in (before, x))
            k, m = k - k.mean(0), m - m.mean(0)
            alike.append((np.linalg.norm(k.T @ m) ** 2) / (np.linalg.norm(k.T @ k) * np.linalg.norm(m.T @ m)))
            same = before.shape == x.shape
            kept.append(float(torch.cosine_similarity(before.flatten(1), x.flatten(1)).mean()) if same else np.nan)
            squares = x.double().square().mean((0, 2, 3))
            sizes.append(float(squares.square().mean() / squares.mean() ** 2))
    found = (ratios, cosines, negative, dead, variances, ranks, alike, kept, sizes)
    return tuple(np.array(values) for values in found)


def agree(found, wanted):
    ratios, cosines, negative, dead, variances, ranks, alike, kept, sizes = wanted
    np.testing.assert_allclose(found.ratios, ratios.T, rtol=1e-4)
    np.testing.assert_allclose(found.cosines, cosines.T, atol=1e-5)
    np.testing.assert_allclose(found.negative, negative, atol=1e-4)
    np.testing.assert_array_equal(found.dead, dead)
    table = residual.blocks(found)
    for place, part in enumerate(("shortcut", "branch", "sum")):
        np.testing.assert_allclose(table[f"{part}_variance"], variances[:, place], rtol=1e-4)
    np.testing.assert_allclose(table["branch_share"], variances[:, 1] / variances[:, :2].sum(1), rtol=1e-4)
    np.testing.assert_allclose(
        table["covariance"], (variances[:, 2] - variances[:, :2].sum(1)) / 2, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(table["effective_rank"], ranks, rtol=1e-3)
    np.testing.assert_allclose(table["cka"], alike, rtol=1e-3)
    np.testing.assert_allclose(table["kept_mean"], kept, rtol=1e-4)
    np.testing.assert_allclose(table["kurtosis"], sizes, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_statistics_equal_a_plain_loop_over_torchvisions_own_modules(name, randomised):
    source = randomised(getattr(torchvision.models, name)(num_classes=5)).eval()
    blocks = (2, 2, 2, 2) if name == "resnet18" else (3, 4, 6, 3)
    shape = architecture.imagenet("basic" if name == "resnet18" else "bottleneck", blocks, classes=5)
    model = model_of(canonical.freeze(canonical.canonical(source)), shape, 40)
    images = noise(3, 40)
    with torch.no_grad():
        batch = torch.stack([model.spec.preprocessing(images.open(index)) for index in range(3)])
        x = source.maxpool(source.relu(source.bn1(source.conv1(batch))))
        wanted = plain_loop(source, x, (source.layer1, source.layer2, source.layer3, source.layer4))
    agree(finish(residual.statistics(model, images)), wanted)


class CifarBlock(nn.Module):
    """A block of He et al. 2015, section 4.2, written again."""

    def __init__(self, ours):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = (getattr(ours.branch, n) for n in ("conv1", "bn1", "conv2", "bn2"))
        self.grows = self.conv1.stride[0] == 2
        self.downsample = self.halved if self.grows else None

    def halved(self, x):
        channels = x.shape[1] // 2
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, channels, channels))

    def forward(self, x):
        shortcut = self.halved(x) if self.grows else x
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + shortcut)


def test_statistics_of_a_cifar_network_equal_a_plain_loop(tiny_model, tiny_images):
    net = tiny_model.network
    with torch.no_grad():
        batch = torch.stack([tiny_model.spec.preprocessing(tiny_images.open(index)) for index in range(12)])
        x = torch.relu(net.stem.bn1(net.stem.conv1(batch)))
        wanted = plain_loop(None, x, [[CifarBlock(block)] for _, block in net.blocks()])
    agree(finish(residual.statistics(tiny_model, tiny_images)), wanted)


# --- closed forms -----------------------------------------------------------------------------------------------------


def gaussian(n_images, side=4, seed=0):
    """Pictures whose values are drawn from a normal distribution, independently in each channel."""
    drawn = np.random.default_rng(seed).normal(127.5, 25, (n_images, side, side, 3))
    values = np.clip(np.rint(drawn), 0, 255).astype(np.uint8)
    ids = tuple(f"{index}.png" for index in range(n_images))
    return ImageSet("gaussian", ids, None, (), "1" * 64, lambda index: Image.fromarray(values[index]))


class Rolled(nn.Module):
    """Every channel is handed the next one's values, so that it adds something that it knows nothing of."""

    def forward(self, x):
        return x.roll(1, 1)


class Raised(nn.Module):
    """A constant on top, so that no ReLU removes anything."""

    def forward(self, x):
        return x * torch.tensor([1.0, 2.0, 3.0])[:, None, None] + 50


def test_independent_gaussians_share_the_variance_as_the_squares_of_their_scales():
    for factor in (1.0, 0.5, 2.0):
        branch = nn.Sequential(Rolled(), Times(factor, factor, factor))
        table = residual.blocks(finish(residual.statistics(one_block(nn.Identity(), branch), gaussian(1000))))
        wanted = factor**2 / (1 + factor**2)
        assert table["branch_share"][0] == pytest.approx(wanted, abs=0.01)
        assert table["covariance"][0] == pytest.approx(0, abs=0.01 * table["sum_variance"][0])
        assert table["sum_variance"][0] == pytest.approx((1 + factor**2) * table["shortcut_variance"][0], rel=0.02)


@pytest.mark.parametrize("factor", [1.0, 0.5, -0.5])
def test_a_branch_along_its_shortcut_has_the_covariance_of_its_factor(factor):
    table = residual.blocks(statistics_of(nn.Identity(), factor, factor, factor))
    assert table["branch_share"][0] == pytest.approx(factor**2 / (1 + factor**2), rel=1e-5)
    assert table["covariance"][0] == pytest.approx(factor * table["shortcut_variance"][0], rel=1e-5)


def test_the_effective_rank_of_independent_channels_is_that_of_their_variances():
    nothing = nn.Sequential(Times(0.0, 0.0, 0.0))
    found = finish(residual.statistics(one_block(Raised(), nothing), gaussian(3000)))
    assert found.effective_rank[0] == pytest.approx((1 + 4 + 9) ** 2 / (1 + 16 + 81), rel=0.05)
    assert residual.blocks(found)["always_on_channels"][0] == 3
    assert found.cka[0] == pytest.approx((1 + 4 + 9) / np.sqrt(3 * (1 + 16 + 81)), rel=0.05)


def test_the_kurtosis_of_channel_sizes_is_one_if_all_are_alike_and_c_if_one_has_all():
    alone = one_block(Times(1.0, 0.0, 0.0), nn.Sequential(Times(0.0, 0.0, 0.0)))
    assert residual.blocks(finish(residual.statistics(alone, gaussian(5))))["kurtosis"][0] == pytest.approx(3)
    grey = ImageSet("grey", ("a",), None, (), "0" * 64, lambda _: Image.new("RGB", (4, 4), (200, 200, 200)))
    nothing = one_block(nn.Identity(), nn.Sequential(Times(0.0, 0.0, 0.0)))
    table = residual.blocks(finish(residual.statistics(nothing, grey)))
    assert table["kurtosis"][0] == pytest.approx(1)
    assert np.isnan(table["effective_rank"][0])  # one image does not vary


def test_a_block_that_does_nothing_keeps_its_input():
    found = finish(residual.statistics(one_block(nn.ReLU(), nn.Sequential(Times(0.0, 0.0, 0.0))), half_and_half()))
    assert found.kept[0, 0] == pytest.approx(np.sqrt(0.5))  # of +2 above and -2 below only half is left
    assert found.sparsity.tolist() == [pytest.approx(0.5)]


# --- shards, classes, exits -------------------------------------------------------------------------------------------


def test_three_shards_give_what_the_whole_gives(tiny_model, tiny_images):
    whole = finish(residual.statistics(tiny_model, tiny_images))
    shards = [tiny_images.take(rows) for rows in (range(5), range(5, 6), range(6, 12))]
    first, *others = [finish(residual.measure(tiny_model, shard)) for shard in shards]
    for other in others:
        first.merge(other)
    merged = first.result()
    assert merged.ids == whole.ids
    for make in (residual.blocks, residual.channels, residual.classes):
        pd.testing.assert_frame_equal(make(merged), make(whole), rtol=1e-5, atol=1e-7)


def test_only_readings_of_one_network_and_the_same_classes_are_merged(tiny_model, tiny_images):
    tally = finish(residual.measure(tiny_model, tiny_images))
    other = replace(tiny_model, digest="1" * 64)
    with pytest.raises(FeatureError, match="Only one network's statistics"):
        tally.merge(residual.Tally(other, tiny_images))
    with pytest.raises(FeatureError, match="classes"):
        tally.merge(residual.Tally(tiny_model, noise(2, 32)))


def test_nothing_read_is_nothing_to_tell(tiny_model, tiny_images):
    with pytest.raises(FeatureError, match="No image has been read"):
        residual.Tally(tiny_model, tiny_images).result()


def test_the_nearest_class_mean_leaves_each_image_out_of_its_own():
    random = np.random.default_rng(0)
    features, own = random.normal(size=(30, 4)) + 100, random.integers(0, 3, 30)
    right = []
    for place in range(30):
        rest = np.arange(30) != place
        means = [features[rest & (own == label)].mean(0) for label in range(3)]
        right.append(np.argmin([np.linalg.norm(features[place] - mean) for mean in means]) == own[place])
    sums = np.stack([features[own == label].sum(0) for label in range(3)])
    found = residual.nearest_class_mean(features, own, sums, np.bincount(own))
    assert found == pytest.approx(np.mean(right))
    alone = np.arange(3)
    assert np.isnan(residual.nearest_class_mean(features[:3], alone, features[:3], np.ones(3, int)))


def test_of_more_images_those_with_the_smallest_digests_are_kept_whatever_the_shards(
    tiny_model, tiny_images, monkeypatch
):
    monkeypatch.setattr(residual.tally, "SAMPLE", 5)
    whole = finish(residual.measure(tiny_model, tiny_images)).sample.content()
    first = finish(residual.measure(tiny_model, tiny_images.take(range(7, 12))))
    merged = first.merge(finish(residual.measure(tiny_model, tiny_images.take(range(7))))).sample.content()
    chosen = sorted(tiny_images.ids, key=lambda name: hashlib.sha256(name.encode()).digest())[:5]
    labels = [tiny_images.labels[tiny_images.ids.index(name)] for name in chosen]
    assert whole[0].tolist() == merged[0].tolist() == labels
    for one, other in zip(whole[1], merged[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_of_very_many_images_some_are_kept_and_means_count_all(tiny_model, tiny_images, monkeypatch):
    whole = finish(residual.statistics(tiny_model, tiny_images))
    monkeypatch.setattr(residual.image_numbers, "LIMIT", 5)
    monkeypatch.setattr(residual.tally, "batch_size", lambda preprocessing, device: 6)
    first = finish(residual.measure(tiny_model, tiny_images.take(range(7, 12))))
    merged = first.merge(finish(residual.measure(tiny_model, tiny_images.take(range(7))))).result()
    thinned = finish(residual.statistics(tiny_model, tiny_images))
    chosen = set(sorted(tiny_images.ids, key=lambda name: hashlib.sha256(name.encode()).digest())[:5])
    for found in (merged, thinned):
        assert set(found.ids) == chosen
        assert found.n_images == 12
        assert found.ratios.shape == (5, 3)
        for name, values in whole.means.items():
            np.testing.assert_allclose(found.means[name], values, rtol=1e-6)
            np.testing.assert_allclose(found.class_means[name], whole.class_means[name], rtol=1e-6)
        rows = [whole.ids.index(name) for name in found.ids]
        np.testing.assert_allclose(found.ratios, whole.ratios[rows], rtol=1e-5)
        np.testing.assert_array_equal(found.labels, whole.labels[rows])


def test_the_head_on_the_last_block_is_the_network_and_fits_no_stage_below():
    model, images = zoo.load("resnet20-fashion"), open_images("sample").sample(100)
    found = finish(residual.statistics(model, images))
    assert np.isnan(found.head_accuracy[:6]).all()
    assert found.head_accuracy[-1] == finish(evaluate(model, images)).accuracy
    assert found.class_mean_accuracy[-1] > 0.8


def test_classes_have_rows_of_their_own(tiny_model, tiny_images):
    found = finish(residual.statistics(tiny_model, tiny_images))
    table = residual.classes(found)
    assert table["class"].unique().tolist() == ["cat", "dog", "fox"]
    assert table["n_images"].tolist() == [4] * 9
    row = table.query("`class` == 'dog' and block == 'layer2.0'").iloc[0]
    assert row["ratio_mean"] == pytest.approx(found.ratios[4:8, 1].mean(), rel=1e-5)
    features = finish(extract.features(tiny_model, tiny_images)).stages["layer2"]
    np.testing.assert_allclose(row["output_means"], features[4:8].mean(0), rtol=1e-4, atol=1e-6)
    assert not len(residual.classes(finish(residual.statistics(tiny_model, noise(3, 32)))))


def test_a_class_has_the_variances_of_its_images_alone(tiny_model, tiny_images, monkeypatch):
    table = residual.classes(finish(residual.statistics(tiny_model, tiny_images))).query("`class` == 'dog'")
    alone = residual.blocks(finish(residual.statistics(tiny_model, tiny_images.take(range(4, 8)))))
    columns = [f"{part}_{kind}" for part in residual.PARTS for kind in ("variance", "squared_mean")]
    for column in ("branch_share", *columns):
        np.testing.assert_allclose(table[column], alone[column], rtol=1e-5, atol=1e-9, err_msg=column)
    monkeypatch.setattr(residual.block_tally, "CLASS_VALUES", 0)  # as with a thousand classes of very wide networks
    few = residual.classes(finish(residual.statistics(tiny_model, tiny_images))).query("`class` == 'dog'")
    np.testing.assert_allclose(few["output_variance"], table["output_variance"])
    assert few["branch_share"].isna().all()


def test_channels_have_rows_of_their_own(tiny_model, tiny_images):
    found = finish(residual.statistics(tiny_model, tiny_images))
    table = residual.channels(found)
    assert len(table) == 16 + 32 + 64
    _, block = next(tiny_model.network.blocks())
    np.testing.assert_allclose(table["gamma"][:16], block.branch.bn2.weight.numpy(), rtol=1e-6)
    assert table["sparsity"][:16].mean() == pytest.approx(found.sparsity[0])


@pytest.mark.slow
def test_the_command_writes_tables_that_pandas_reads(tiny_folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["residual", "sample", "--limit", "60", "--kinds", "without,swapped", "--paths", "--out", str(out)]
    assert main(arguments) == 0
    table = pd.read_parquet(out / "blocks.parquet")
    assert len(table) == 9
    columns = (
        "stage block n_images ratio_mean ratio_median cosine_mean branch_share dead_channels sparsity effective_rank"
    )
    assert {*columns.split(), "accuracy_without"} <= set(table)
    assert (table["n_images"] == 60).all()
    assert len(pd.read_parquet(out / "channels.parquet")) == 3 * (16 + 32 + 64)
    assert len(pd.read_parquet(out / "classes.parquet")) == 90
    assert pd.read_parquet(out / "lesions.parquet")["kind"].value_counts().to_dict() == {"without": 9, "swapped": 4}
    assert len(pd.read_parquet(out / "paths.parquet")) == 10
    content = json.loads((out / "manifest.json").read_text())
    assert content["n_images"] == 60
    assert content["provenance"]["weights_sha256"]
    printed = capsys.readouterr().out
    assert "accuracy_without" in printed
    assert "layer1.0 and layer1.1 swapped" in printed


def test_a_table_of_pairs_is_not_taken_for_one_of_blocks(tiny_model, tiny_images):
    statistics = finish(residual.statistics(tiny_model, tiny_images))
    blocks = ("layer1.0", "layer2.0", "layer3.0")
    pairs = [residual.without(*pair) for pair in zip(blocks, blocks[1:] + blocks[:1], strict=True)]
    assert "accuracy_without" not in residual.blocks(statistics, finish(residual.sweep(tiny_model, tiny_images, pairs)))
    each = finish(residual.sweep(tiny_model, tiny_images, residual.each(tiny_model.network)))
    assert "accuracy_without" in residual.blocks(statistics, each)


def test_a_second_run_leaves_no_table_of_the_first_and_touches_nothing_else(tiny_folder, tmp_path, capsys):
    out, run = tmp_path / "out", ["residual", "sample", "--limit", "10"]
    assert main([*run, "--lesions", "--out", str(out)]) == 0
    assert main([*run, "--out", str(out), "--replace"]) == 0
    assert not (out / "lesions.parquet").exists()
    assert main([*run, "--out", str(tiny_folder)]) == 2
    assert "holds other things" in capsys.readouterr().err
    assert main(["residual", str(tiny_folder), "--out", str(tiny_folder / "cat" / "new")]) == 2
    assert "lies inside" in capsys.readouterr().err


def test_a_run_that_fails_leaves_the_tables_that_were_there(tmp_path, monkeypatch):
    run = ["residual", "sample", "--limit", "10", "--out", str(tmp_path / "out")]
    assert main(run) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}

    def fails(*_):
        raise FeatureError("no more")

    monkeypatch.setattr(residual, "statistics", fails)
    assert main([*run, "--seed", "1", "--replace"]) == 2
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--model", "plain20-fashion", "--paths"], "no shortcuts"),
        (["--lesions", "--weights", "HEADLESS"], "no classifier"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(arguments, text, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(residual.tally, "measure", lambda *_: pytest.fail("it has begun"))
    headless = tmp_path / "headless.safetensors"
    shape = architecture.cifar(8, classes=None)
    filling.save(randomise(canonical.build(shape)), headless, {})
    given = [str(headless) if argument == "HEADLESS" else argument for argument in arguments]
    assert main(["residual", "sample", "--limit", "10", *given]) == 2
    assert text in capsys.readouterr().err


def test_labels_that_tell_nothing_are_said_and_agreement_stands_for_accuracy(tiny_folder, capsys):
    assert main(["residual", str(tiny_folder), "--lesions"]) == 0
    told = capsys.readouterr()
    assert "none of the network" in told.err
    assert "agreement_without" in told.out
    assert "accuracy_without" not in told.out


def test_the_command_says_which_lesions_there_are(capsys):
    assert main(["residual", "sample", "--limit", "10", "--kinds", "burnt"]) == 2
    assert "without, scaled, random, swapped" in capsys.readouterr().err


def test_how_images_are_batched_does_not_matter(tiny_model, tiny_images, monkeypatch):
    together = finish(residual.statistics(tiny_model, tiny_images))
    monkeypatch.setattr(decoding, "batch_size", lambda preprocessing, device="cpu": 5)
    apart = finish(residual.statistics(tiny_model, tiny_images))
    np.testing.assert_allclose(apart.ratios, together.ratios, rtol=1e-5)
    np.testing.assert_allclose(apart.cosines, together.cosines, atol=1e-6)
    np.testing.assert_allclose(apart.negative, together.negative, atol=1e-5)
    np.testing.assert_array_equal(apart.dead, together.dead)


def test_blocks_are_named_with_their_stage_and_kind_of_shortcut(tiny_model, tiny_images):
    found = finish(residual.statistics(tiny_model, tiny_images))
    assert found.blocks == ("layer1.0", "layer2.0", "layer3.0")
    assert found.stages == ("layer1", "layer2", "layer3")
    assert found.shortcuts == ("identity", "padding", "padding")
    assert found.widths.tolist() == [16, 32, 64]
    assert found.n_images == 12


def test_the_table_summarises_the_images_of_each_block(tiny_model, tiny_images):
    found = finish(residual.statistics(tiny_model, tiny_images))
    table = residual.blocks(found)
    assert table["block"].tolist() == list(found.blocks)
    for column, expected in {
        "ratio_mean": found.ratios.mean(0, dtype=np.float64),
        "ratio_median": np.median(found.ratios, 0),
        "ratio_p05": np.percentile(found.ratios, 5, axis=0),
        "ratio_p95": np.percentile(found.ratios, 95, axis=0),
        "cosine_mean": found.cosines.mean(0, dtype=np.float64),
    }.items():
        np.testing.assert_allclose(table[column], expected, rtol=1e-6, err_msg=column)


def test_images_that_cannot_be_read_are_named_and_left_out(tiny_model, tiny_folder, tiny_images):
    (tiny_folder / "cat" / "1.png").write_bytes(b"no image")
    found = finish(residual.statistics(tiny_model, tiny_images))
    assert found.n_images == len(found.ratios) == 11
    assert [image.id for image in found.rejected] == ["cat/1.png"]


def test_a_set_of_no_images_is_an_error(tiny_model, tiny_images):
    with pytest.raises(DatasetError, match="no images"):
        finish(residual.statistics(tiny_model, tiny_images.take([])))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_broken_weights_are_an_error_and_no_missing_shortcut(tiny_model, tiny_images, value):
    with torch.no_grad():
        tiny_model.network.stages["layer2"][0].branch.conv1.weight[0, 0, 0, 0] = value
    with pytest.raises(FeatureError, match="NaN or infinite"):
        finish(residual.statistics(tiny_model, tiny_images))
