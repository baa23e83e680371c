"""What statistics of batch norms say of what a file does not say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from features import datasets
from features.networks import canonical, catalogue, filling, fingerprint, hypotheses, trials, zoo
from features.networks.architecture import Architecture, cifar
from features.networks.canonical import build
from features.networks.settings import applied
from tests.random_networks import randomise

pytestmark = pytest.mark.slow

BOTTLENECK = Architecture("bottleneck", (1, 2, 1), (8, 16, 32), (32, 64, 128), "cifar", 16, classes=5)
LARGE = Architecture("basic", (1, 1, 1), (16, 32, 64), (16, 32, 64), "imagenet", 16, classes=5)


def photographs(count: int, side: int = 48, seed: int = 0) -> list[Image.Image]:
    """Pictures with the long correlations of photographs: noise whose spectrum falls with frequency."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    pictures = []
    for _ in range(count):
        spectrum = np.fft.rfft2(random.normal(size=(side, side, 3)), axes=(0, 1))
        values = np.fft.irfft2(spectrum / (frequency + 0.02)[:, :, None], (side, side), axes=(0, 1))
        values = 128 + random.normal(0, 25) + 45 * values / values.std()
        pictures.append(Image.fromarray(values.clip(0, 255).astype(np.uint8)))
    return pictures


def trained_like(architecture, preprocessing, count=60):
    """A network with the statistics that it has over many pictures, as if it had been trained on them."""
    torch.manual_seed(0)
    network = randomise(build(architecture)).train()
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            module.weight.data -= module.weight.data.mean((2, 3), keepdim=True)  # edges, of which distance tells
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all
            module.reset_running_stats()
    with torch.no_grad():
        network(fingerprint.scaled_batch(photographs(count, seed=1), preprocessing))
    return canonical.freeze(network)


TRUTHS = {
    "as assumed": (BOTTLENECK, ()),
    "signed": (BOTTLENECK, (("range", "signed"),)),
    "unit": (LARGE, (("range", "unit"),)),
    "bytes": (LARGE, (("range", "bytes"),)),
    "stride at first": (BOTTLENECK, (("stride-at", "first"),)),
    "last stride 1": (BOTTLENECK, (("strides", "1,2,1"),)),
    "max-pool": (BOTTLENECK, (("stem-pool", "max"),)),
    "no pool": (LARGE, (("stem-pool", "none"),)),
    "average pool": (LARGE, (("stem-pool", "average"),)),
    "blurred": (LARGE, (("antialias", "blur"),)),
    "zeros at the end": (cifar(8), (("shortcut-padding", "end"),)),
    "plain": (cifar(8), (("shortcut", "none"),)),
    "pixels and structure": (BOTTLENECK, (("range", "unit"), ("stride-at", "first"))),
}

# Of networks whose weights were drawn, some ways differ too little to be told apart; then nothing is decided.
DECIDED = {
    "as assumed": {"pixels"}, "signed": {"pixels"}, "stride at first": {"pixels"}, "last stride 1": {"pixels"},
    "pixels and structure": {"pixels"}, "max-pool": {"pixels"}, "blurred": {"pixels"}, "unit": {"pixels"},
    "bytes": {"pixels"}, "zeros at the end": set(),
}  # fmt: skip


def given(architecture, settings=()):
    preprocessing = replace(catalogue.CIFAR_PREPROCESSING, resize=48, crop=48)
    spec = zoo.ModelSpec("net", "", architecture, preprocessing, (), "", "")
    return applied(spec, settings)[0]


def rebuilt(network):
    from features.networks.specification import rebuilt

    return lambda architecture: rebuilt(network, architecture)


@pytest.mark.parametrize(("architecture", "settings"), TRUTHS.values(), ids=TRUTHS)
def test_what_a_network_was_trained_with_is_found_among_all_that_its_tensors_allow(architecture, settings, request):
    truth, assumed = given(architecture, settings), given(architecture)
    network = rebuilt(trained_like(truth.architecture, truth.preprocessing))(assumed.architecture)
    verdict = trials.judge(assumed, network, rebuilt(network), lambda field: True, photographs(8, seed=2))
    taken = applied(assumed, verdict.settings)[0]
    assert verdict.fits
    if "mean" in verdict.settled:
        assert taken.preprocessing.mean == pytest.approx(truth.preprocessing.mean)
        assert taken.preprocessing.std == pytest.approx(truth.preprocessing.std)
    if taken.architecture != assumed.architecture:
        assert taken.architecture == truth.architecture
    decided = {"pixels"} if "mean" in verdict.settled else set()
    decided |= {"structure"} if taken.architecture == truth.architecture else set()
    assert decided >= DECIDED.get(request.node.callspec.id, {"pixels", "structure"})


def test_what_is_known_is_not_tested():
    truth = given(BOTTLENECK, (("range", "signed"),))
    network = trained_like(truth.architecture, truth.preprocessing)
    verdict = trials.judge(given(BOTTLENECK), network, rebuilt(network), lambda field: False, photographs(8))
    assert [each.hypothesis for each in (*verdict.pixels, *verdict.structures)] == [hypotheses.AS_GIVEN] * 2
    assert verdict.settings == verdict.settled == ()


def test_networks_without_statistics_are_said_to_have_none():
    network = canonical.freeze(build(BOTTLENECK))  # mean 0, variance 1, as after folding
    verdict = trials.judge(given(BOTTLENECK), network, rebuilt(network), lambda field: True, photographs(8))
    assert not verdict.has_statistics
    assert verdict.settings == ()


def test_nothing_is_told_by_too_few_pictures():
    network = trained_like(BOTTLENECK, given(BOTTLENECK).preprocessing, 8)
    verdict = trials.judge(given(BOTTLENECK), network, rebuilt(network), lambda field: True, photographs(3))
    assert (verdict.pixels, verdict.structures, verdict.settings) == ((), (), ())


def test_pictures_of_another_kind_fit_badly_and_decide_nothing():
    model = zoo.load("resnet20-fashion")
    random = np.random.default_rng(0)
    noise = [Image.fromarray(random.integers(0, 256, (28, 28, 3), dtype=np.uint8)) for _ in range(8)]
    verdict = trials.judge(model.spec, model.network, rebuilt(model.network), lambda field: True, noise)
    assert verdict.fits_badly
    assert verdict.settings == ()


POOL = hypotheses.Hypothesis("max-pool after the stem", (("stem-pool", "max"),))


@pytest.mark.parametrize(
    ("pool", "given", "nearer"),
    [(0.1, 0.96, [POOL]), (0.1, 0.2, []), (0.01, 0.96, []), (0.96, 0.1, []), (0.3, 0.96, [])],
)
def test_what_is_nearer_without_fitting_is_told_and_not_taken(pool, given, nearer):
    rows = (hypotheses.Tested(POOL, pool), hypotheses.Tested(hypotheses.AS_GIVEN, given))
    verdict = hypotheses.Verdict((rows[1],), tuple(sorted(rows, key=lambda each: each.nats)))
    assert [each.hypothesis for each in verdict.nearer] == nearer


def test_what_was_given_up_ranks_behind_all_that_was_not():
    """On the layers that it came to it may be nearer than another run is on all of its own."""
    network = trained_like(BOTTLENECK, given(BOTTLENECK).preprocessing)
    last = [norm for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)][-1]
    last.running_mean += 30 * last.running_var.sqrt()  # no setting explains this one
    verdict = trials.judge(given(BOTTLENECK), network, rebuilt(network), lambda field: True, photographs(8))
    for rows in (verdict.pixels, verdict.structures):
        assert [each.whole for each in rows] == sorted((each.whole for each in rows), reverse=True)
    assert verdict.fits_badly
    assert verdict.settings == verdict.settled == ()


def test_the_divergence_is_that_of_two_normal_distributions_less_what_chance_makes_of_few_images():
    norm = nn.BatchNorm2d(1)
    norm.running_mean.fill_(0.3)
    norm.running_var.fill_(4.0)
    x = torch.randn(4000, 1, 4, 4, dtype=torch.float64) * 1.5 + 1.0
    wanted = 0.5 * (np.log(4 / 2.25) + (2.25 + 0.7**2) / 4 - 1)
    assert fingerprint.observed(norm, x).nats == pytest.approx(wanted, rel=0.03)
    norm.running_mean.fill_(1.0)
    norm.running_var.fill_(2.25 + 1)  # images differ in their means by 1
    draws = [
        fingerprint.observed(norm, torch.randn(8, 1, 16, 16) * 1.5 + 1 + torch.randn(8, 1, 1, 1)).nats
        for _ in range(200)
    ]
    assert np.mean(draws) < 0.1  # half of (1/8) * 1 / 3.25, and of the variance's, would be in it without


def test_a_file_of_the_bundled_network_is_told_by_the_sample(tmp_path):
    intact = zoo.load("resnet20-fashion")
    path = tmp_path / "bare.safetensors"
    filling.save(intact.network, path, {})
    pixels = intact.spec.preprocessing
    said = f"{path}?mean={pixels.mean[0]}&std={pixels.std[0]}&resize={pixels.resize}&crop={pixels.crop}"
    loaded = zoo.load(said, pictures=datasets.open_images("sample").pictures)
    assert {"shortcut", "shortcut_padding", "stem_pool", "activation"} <= set(loaded.verdict.settled)
    assert loaded.verdict.settings == ()
    assert loaded.spec.architecture == intact.spec.architecture
    assert loaded.verdict.nats < 0.005


def test_a_verdict_is_kept_with_the_weights_and_other_images_do_not_change_it(tmp_path):
    truth = given(cifar(8), (("shortcut", "none"),))
    network = trained_like(truth.architecture, replace(truth.preprocessing, resize=32, crop=32))
    path = tmp_path / "mine.safetensors"
    filling.save(network, path, {})
    assert zoo.load(weights=path).verdict is None
    first = zoo.load(weights=path, pictures=lambda: photographs(8, seed=2))
    assert first.spec.architecture.shortcut == "none"

    def never():
        raise AssertionError("it is known")

    assert zoo.load(weights=path, pictures=never).spec == first.spec
    assert zoo.load(weights=path).key == first.key
    said = zoo.load(f"{path}?shortcut=padding", pictures=lambda: photographs(8, seed=2))
    assert said.spec.architecture.shortcut == "padding"
