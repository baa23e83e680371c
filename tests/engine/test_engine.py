"""The fast network against the exact one, and every pooling against its formula."""

import copy

import numpy as np
import pytest
import torch

from features import engine
from features.engine import convolution, folding, torch_engine
from features.errors import FeatureError
from features.networks.architecture import Architecture, cifar
from features.networks.canonical import build, canonical, freeze
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from tests.random_networks import randomise

KINDS = ("padding", "projection", "none")


def network(kind: str = "padding"):
    return freeze(randomise(build(cifar(14, kind))))


def pixels(number: int = 3, side: int = 32) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (number, 3, side, side), dtype=torch.uint8, generator=random)


def preprocessing(side: int = 32) -> Preprocessing:
    return Preprocessing(side, side, IMAGENET_MEAN, IMAGENET_STD)


def activations(net, batch) -> dict[str, np.ndarray]:
    with torch.inference_mode():
        return {name: values.double().numpy() for name, values in net.walk(preprocessing().scaled(batch))}


def on_torch(net, **choices) -> engine.TorchEngine:
    plan = engine.choose(net, **{"precision": "fp32", "device": "cpu", "engine": "torch", **choices})
    return engine.TorchEngine(net, preprocessing(), plan)


def read(net, batch, **choices) -> dict[str, np.ndarray]:
    return on_torch(net, **choices)(batch)


def differs(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_is_that_of_the_exact_network(kind):
    net = network(kind)
    stages = ("stem", "layer1", "layer2", "layer3", "pool", "logits")
    found, exact = read(net, pixels(), stages=stages), activations(net, pixels())
    assert list(found) == list(stages)
    for name in stages[:4]:
        assert differs(found[name], exact[name].mean((2, 3))) < 1e-5
    assert differs(found["pool"], exact["layer3"].mean((2, 3))) < 1e-5
    assert differs(found["logits"], exact["logits"]) < 1e-5


def test_torchvisions_networks_keep_their_features(torchvision_network):
    _, source = torchvision_network
    net = freeze(canonical(copy.deepcopy(source)))
    found, exact = read(net, pixels(2, 64)), activations(net, pixels(2, 64))
    for name in net.stage_names:
        assert differs(found[name], exact[name].mean((2, 3))) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_points_where_fp32_does(kind):
    net = network(kind)
    low, high = read(net, pixels(), precision="bf16"), read(net, pixels())
    for name in net.stage_names:
        cosine = torch.cosine_similarity(torch.from_numpy(low[name]), torch.from_numpy(high[name]))
        assert cosine.min() > 0.999
        assert low[name].dtype == np.float32


def edge_detector():
    """A network whose first filters take differences of neighbouring pixels, as trained ones do."""
    net = network()
    with torch.no_grad():
        weight = net.stem[0].weight
        weight -= weight.mean((2, 3), keepdim=True)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.fill_(0.1)
                module.running_mean.zero_()
    return net


@pytest.mark.parametrize("engine_name", engine.ENGINES)
def test_bf16_loses_nothing_of_edges_on_bright_images(engine_name):
    if engine_name == engine.OPENVINO:
        pytest.importorskip("openvino", reason="an extra: requirements-openvino.txt")
    net, bright = edge_detector(), 250 + pixels(4) % 4
    plan = engine.choose(net, ["stem"], precision="bf16", device="cpu", engine=engine_name)
    low = engine.start(net, preprocessing(), plan)(bright)["stem"]
    high = read(net, bright, stages=["stem"])["stem"]
    # Scaled pixels rounded to bf16 would hardly differ, and these features would be wrong by a tenth.
    assert differs(low - low.mean(), high - high.mean()) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_stem_of_pixels_is_the_stem_of_scaled_pixels(dtype):
    stem = network().stem
    ours = folding.pixel_stem(stem, preprocessing(), dtype)
    assert all(torch.equal(conv.weight, conv.weight.to(dtype).float()) for conv in ours if hasattr(conv, "weight"))
    with torch.no_grad():
        found, wanted = ours(pixels()), stem(preprocessing().scaled(pixels()))
    inside = slice(1, -1)  # the padding is off by a part of a grey level
    tolerance = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 1e-2}[dtype]
    assert differs(found[..., inside, inside].numpy(), wanted[..., inside, inside].numpy()) < tolerance
    assert differs(found.numpy(), wanted.numpy()) < 1.5 * tolerance


def test_pixels_are_scaled_as_everywhere():
    assert torch.equal(folding.Scale(preprocessing())(pixels()), preprocessing().scaled(pixels()))


@pytest.mark.parametrize("side", [1, 3, 7])
def test_a_rounded_filter_keeps_its_sum(side):
    weight = torch.randn(32, 16, side, side, generator=torch.Generator().manual_seed(0)) * 0.1
    found = folding.round_weight(weight.clone(), torch.bfloat16)
    assert torch.equal(found, found.bfloat16().float())
    assert float(((found - weight).abs() / weight.abs().amax((2, 3), keepdim=True)).max()) < 2**-7
    if side > 1:
        plain = (weight.bfloat16().float() - weight).sum((2, 3)).abs().mean()
        assert (found - weight).sum((2, 3)).abs().mean() < plain / 10
    assert torch.equal(folding.round_weight(found.clone(), torch.bfloat16), found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("ready", [True, False])
def test_the_bias_of_a_convolution_in_half_precision_stays_in_float32(dtype, ready, monkeypatch):
    if not ready:
        monkeypatch.setattr(convolution, "has_ready", lambda dtype: False)
    conv = torch.nn.Conv2d(4, 16, 3, stride=2, padding=1)
    torch.nn.init.constant_(conv.bias, 4.0077)  # 4.0 in bf16
    x = torch.randn(2, 4, 64, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.no_grad():
        found = convolution.Convolution(conv, dtype)(x)
        exact = torch.nn.functional.conv2d(x.float(), conv.weight.to(dtype).float(), conv.bias, stride=2, padding=1)
    assert found.dtype == dtype
    assert abs(float((found.float() - exact).mean())) < 0.003
    assert float((found.float() - exact).abs().max()) <= float(exact.abs().max()) * 2**-8


CONVOLUTIONS = {
    "3x3": {"kernel_size": 3, "padding": 1},
    "3x3, stride 2": {"kernel_size": 3, "padding": 1, "stride": 2},
    "1x1, stride 2, no bias": {"kernel_size": 1, "stride": 2, "bias": False},
    "7x7, stride 2": {"kernel_size": 7, "padding": 3, "stride": 2},
    "dilated": {"kernel_size": 3, "padding": 2, "dilation": 2},
    "grouped, stride 2": {"kernel_size": 3, "padding": 1, "stride": 2, "groups": 4},
    "not square": {"kernel_size": (1, 3), "padding": (0, 1), "stride": (1, 2)},
}


@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize("settings", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_with_ready_weights_is_the_plain_one(settings, ready, monkeypatch):
    if not ready:
        monkeypatch.setattr(convolution, "has_ready", lambda dtype: False)
    plain = torch.nn.Conv2d(8, 16, **settings).requires_grad_(False)
    ours = convolution.Convolution(plain, torch.float32)
    random = torch.Generator().manual_seed(0)
    for shape in ((2, 8, 17, 15), (1, 8, 16, 18), (0, 8, 16, 16), (2, 8, 17, 15)):
        x = torch.randn(shape, generator=random).contiguous(memory_format=torch.channels_last).requires_grad_()
        wanted = plain(x)
        other, gradient = torch.randn((2, *wanted.shape), generator=random)
        kept = other.clone()
        (down,) = torch.autograd.grad(wanted, x, gradient)
        with torch.no_grad():
            torch.testing.assert_close(ours(x), wanted)
            torch.testing.assert_close(ours.plus(x, other), wanted + other)
            torch.testing.assert_close(ours.back(gradient, x.shape), down)
        assert torch.equal(other, kept)
        (through,) = torch.autograd.grad(ours(x), x, gradient)  # where a graph is made
        torch.testing.assert_close(through, down)


def test_a_convolution_that_has_run_can_be_copied():
    ours = convolution.Convolution(torch.nn.Conv2d(3, 4, 3), torch.float32)
    x = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        wanted = ours(x)
    other = copy.deepcopy(ours)
    with torch.no_grad():
        other.weight.mul_(2)
        assert torch.equal(ours(x), wanted)
        assert not torch.allclose(other(x), wanted)


def test_what_is_not_a_number_is_not_hidden_by_a_layer():
    net = network()
    with torch.no_grad():
        net.stages["layer1"][0].branch[0].weight[0, 0, 0, 0] = float("nan")
    for name, values in read(net, pixels()).items():
        assert np.isnan(values).any(), name


@pytest.mark.parametrize(("count", "pieces"), [(3, [3]), (5, [3, 2]), (8, [4, 4]), (9, [3, 3, 3])])
def test_a_cpu_takes_as_many_images_at_a_time_as_its_memory_is_used_again_for(count, pieces, monkeypatch):
    net = network()
    monkeypatch.setattr(torch_engine, "REUSED", 4 * 16 * 4 * 32 * 32)
    plan = engine.choose(net, precision="fp32", device="cpu", engine="torch")
    runner = engine.start(net, preprocessing(), plan)
    whole = runner(pixels(count))
    seen = []
    begin = runner._begin
    monkeypatch.setattr(runner, "_begin", lambda piece: seen.append(len(piece)) or begin(piece))
    runner(pixels(count))
    assert seen == pieces
    assert whole["layer1"].shape[0] == count


def test_the_network_that_was_given_stays_as_it_was():
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    read(net, pixels())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module.training for module in net.modules())
    first, second = read(net, pixels()), read(net, pixels())
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_pooling_is_what_its_name_says():
    net = network()
    exact = activations(net, pixels())["layer2"]
    assert differs(read(net, pixels(), pool="max")["layer2"], exact.max((2, 3))) < 1e-5
    gem = (np.maximum(exact, 1e-6) ** 3).mean((2, 3)) ** (1 / 3)
    assert differs(read(net, pixels(), pool="gem")["layer2"], gem) < 1e-5
    maps = read(net, pixels(), pool="none")["layer2"]
    assert maps.dtype == np.float16
    assert maps.shape == (3, 32, 16, 16)
    assert differs(maps, exact) < 1e-3


def test_a_network_without_a_head_has_stages_and_no_logits():
    net = freeze(randomise(build(cifar(8, classes=None))))  # type: ignore[arg-type]
    assert "logits" not in read(net, pixels(), stages=["layer3", "pool"])
    with pytest.raises(FeatureError, match="logits"):
        engine.choose(net, stages=["logits"])


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"stages": ["layer9"]}, "layer9.*stem, layer1, layer2, layer3, pool, logits"),
        ({"stages": []}, "[Nn]o stage"),
        ({"pool": "median"}, "median.*mean, max, gem, none"),
        ({"precision": "fp8"}, "fp8.*fp32, bf16, fp16"),
        ({"device": "toaster"}, "toaster"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(choices, text):
    with pytest.raises(FeatureError, match=text):
        engine.choose(network(), **choices)


def test_a_batch_that_does_not_fit_is_read_in_halves_and_no_row_is_lost(monkeypatch):
    net = network()
    runner = on_torch(net)
    whole, sizes = runner(pixels(7)), []
    begin_all = runner._begin

    def small(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return begin_all(batch)

    monkeypatch.setattr(runner, "_begin", small)
    found = runner(pixels(7))
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    for name in whole:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-4, atol=1e-5)


def test_a_single_image_that_does_not_fit_is_an_error_that_says_what_to_do(monkeypatch):
    net = network()
    runner = on_torch(net)

    def full(batch):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(runner, "_begin", full)
    with pytest.raises(FeatureError, match="Not even one image"):
        runner(pixels(4))


def test_other_errors_than_that_of_memory_are_not_taken_for_one(monkeypatch):
    runner = on_torch(network())

    def broken(batch):
        raise RuntimeError("sizes differ")

    monkeypatch.setattr(runner, "_begin", broken)
    with pytest.raises(RuntimeError, match="sizes differ"):
        runner(pixels(4))


def test_a_network_that_does_not_fit_is_an_error_that_says_what_to_do(monkeypatch):
    def full(*_):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch_engine, "FastNetwork", full)
    with pytest.raises(FeatureError, match="network does not fit into the memory of cpu"):
        on_torch(network())


def test_a_device_that_is_not_there_is_told_by_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(FeatureError, match="'cuda:2', and this machine has 2"):
        engine.choose(network(), device="cuda:2", precision="fp32")


# --- OpenVINO ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def openvino(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return pytest.importorskip("openvino", reason="an extra: requirements-openvino.txt")


def started(net, key: str = "", side: int = 32, **choices):
    plan = engine.choose(net, **{"precision": "fp32", "device": "cpu", "engine": "openvino", **choices})
    return engine.start(net, preprocessing(side), plan, key)


@pytest.mark.usefixtures("openvino")
def test_openvino_does_not_hide_broken_weights():
    net = network()
    net.stages["layer2"][0].branch[1].running_var[3] = -1  # which makes NaN, of which its ReLU would make 0
    with pytest.raises(FeatureError, match="NaN"):
        started(net)


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize(
    ("kind", "pool"), [*((kind, "mean") for kind in KINDS), *(("padding", pool) for pool in ("max", "gem", "none"))]
)
def test_openvino_gives_what_torch_gives(kind, pool):
    net = network(kind)
    stages = ("stem", "layer1", "layer2", "layer3", "pool", "logits")
    runner = started(net, stages=stages, pool=pool)
    for number in (3, 1, 5):  # one compiled network for batches of any size
        found, wanted = runner(pixels(number)), read(net, pixels(number), stages=stages, pool=pool)
        assert list(found) == list(wanted)
        for name in stages:
            assert found[name].dtype == wanted[name].dtype
            assert found[name].shape == wanted[name].shape
            assert differs(found[name].astype(float), wanted[name].astype(float)) < (1e-3 if pool == "none" else 1e-5)


@pytest.mark.usefixtures("openvino")
def test_openvino_in_bf16_points_where_fp32_does():
    net = freeze(randomise(build(cifar(20))))
    found, wanted = started(net, precision="bf16")(pixels(4)), read(net, pixels(4))
    for name, values in wanted.items():
        cosine = (found[name] * values).sum(1) / np.linalg.norm(found[name], axis=1) / np.linalg.norm(values, axis=1)
        assert cosine.min() > 0.999


def test_openvino_keeps_the_converted_network_on_disk(openvino, tmp_path, monkeypatch):
    net = network()
    first = started(net, key="weights")(pixels())
    assert len(list(tmp_path.rglob("network.bin"))) == 1
    monkeypatch.setattr(openvino, "convert_model", None)
    again = started(net, key="weights")(pixels())
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)
    with pytest.raises(TypeError):
        started(net, key="other weights")
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.usefixtures("openvino")
def test_what_openvino_keeps_of_one_pooling_is_not_taken_for_another():
    net = network()
    for pool in ("mean", "max", "none"):
        found, wanted = started(net, key="weights", pool=pool)(pixels()), read(net, pixels(), pool=pool)
        for name, values in wanted.items():
            assert found[name].shape == values.shape
            assert differs(found[name].astype(float), values.astype(float)) < 1e-3


def test_openvino_makes_a_damaged_network_again(openvino, tmp_path):
    net = network()
    wanted = started(net, key="weights")(pixels())
    for file in tmp_path.rglob("network.bin"):
        file.write_bytes(b"")
    found = started(net, key="weights")(pixels())
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values)


def test_the_engine_is_chosen_with_a_reason(monkeypatch):
    net = network()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = engine.choose(net, precision="fp32", device="cpu")
    assert (found.engine, found.why) == ("torch", "OpenVINO is not installed (requirements-openvino.txt)")
    with pytest.raises(FeatureError, match="not installed"):
        engine.choose(net, precision="fp32", device="cpu", engine="openvino")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert engine.choose(net, precision="fp32", device="cpu").engine == "openvino"
    assert engine.choose(net, precision="fp16", device="cpu").engine == "torch"
    narrow = engine.choose(net, precision="bf16", device="cpu")
    assert (narrow.engine, narrow.why) == ("torch", "OpenVINO rounds biases to bf16, which narrow networks do not bear")
    wide = build(Architecture("basic", (1,), (256,), (256,), "cifar", 16))
    assert engine.choose(wide, precision="bf16", device="cpu").engine == "openvino"
    with pytest.raises(FeatureError, match="Wanted 'auto' or one of torch, openvino"):
        engine.choose(net, device="cpu", engine="tpu")
