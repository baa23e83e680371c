"""Heads that take maxima, alone or beside averages, give the logits and the maps of the modules that wrote them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from features import engine, extract, saliency, store
from features.datasets import ImageSet
from features.engine import FastNetwork, cuda_graphs
from features.engine.plan import LOGITS, POOLED
from features.errors import FeatureError, WeightsError
from features.networks import card, checkpoint, filling, memory, zoo
from features.networks.canonical import canonical
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from features.networks.recognition import architecture_of
from features.progress import finish
from features.saliency import ClassTarget, Explainer, Tap
from tests.random_networks import Narrow, drawn, randomise

WIDTH, SIDE = 128, 64
PIXELS = Preprocessing(SIDE, SIDE, IMAGENET_MEAN, IMAGENET_STD)


class AdaptiveConcatPool2d(nn.Module):
    """Maxima, then averages, as fastai has it."""

    def __init__(self) -> None:
        super().__init__()
        self.ap, self.mp = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.mp(x), self.ap(x)], 1)


class Flatten(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1)


def step(inputs: int, outputs: int, norm: bool, dropout: float, rectified: bool, lin_first: bool) -> list[nn.Module]:
    """fastai's LinBnDrop."""
    before: list[nn.Module] = [nn.BatchNorm1d(outputs if lin_first else inputs)] if norm else []
    before += [nn.Dropout(dropout)] if dropout else []
    linear: list[nn.Module] = [nn.Linear(inputs, outputs, bias=not norm), *([nn.ReLU()] if rectified else [])]
    return linear + before if lin_first else before + linear


def fastai_head(
    lin_ftrs: tuple[int, ...] = (96,), concat_pool: bool = True, first_bn: bool = True, bn_final: bool = False,
    lin_first: bool = False, dropout: float = 0.5,
) -> nn.Sequential:  # fmt: skip
    """What fastai.vision.learner.create_head makes of these arguments."""
    widths = (WIDTH * (1 + concat_pool), *lin_ftrs, 5)
    layers = [AdaptiveConcatPool2d() if concat_pool else nn.AdaptiveAvgPool2d(1), Flatten()]
    layers += [nn.Dropout(dropout)] if lin_first else []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        last = number == len(widths) - 2
        if lin_first and last:
            layers.append(nn.Linear(inputs, outputs))
        else:
            layers += step(inputs, outputs, first_bn or number > 0, dropout, not last, lin_first)
    layers += [nn.BatchNorm1d(5)] if bn_final else []
    return nn.Sequential(*layers)


HEADS: dict[str, dict] = {
    "as usual": {},
    "averages alone": {"concat_pool": False},
    "lin_first": {"lin_first": True},
    "bn_final": {"bn_final": True},
    "several layers": {"lin_ftrs": (96, 64)},
    "several layers, lin_first, bn_final": {"lin_ftrs": (96, 64), "lin_first": True, "bn_final": True},
    "no first norm": {"first_bn": False},
    "no dropout": {"dropout": 0.0},
    "one layer": {"lin_ftrs": ()},
}


def body() -> nn.Sequential:
    trunk = drawn(Narrow, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=7)
    return nn.Sequential(*list(trunk.children())[:-2])


def learner(**settings) -> nn.Sequential:
    """fastai's model, whose norms have met a few batches."""
    torch.manual_seed(0)
    model = nn.Sequential(body(), fastai_head(**settings)).train()
    with torch.no_grad():
        for layer in model[1]:
            if isinstance(layer, nn.BatchNorm1d):
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias)
        for _ in range(3):
            model(torch.randn(8, 3, SIDE, SIDE))
    return model.eval()


@pytest.fixture(scope="module")
def usual() -> nn.Sequential:
    return learner()


def batch(number: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)  # with no two places of a channel that are maxima by a rounding
    return torch.randint(0, 256, (number, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)


def saved(state: Mapping[str, Tensor], folder):
    torch.save({"model": dict(state), "opt": {}}, folder / "net.pth")
    return folder / "net.pth"


def relative(found: Tensor | np.ndarray, wanted: Tensor) -> float:
    return float((torch.as_tensor(found) - wanted).abs().max() / wanted.abs().max())


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HEADS)
@torch.inference_mode()
def test_fastais_heads_are_read_whole(name, tmp_path):
    source = learner(**HEADS[name])
    model = zoo.load(weights=saved(source.state_dict(), tmp_path))
    x = PIXELS.scaled(batch())
    assert relative(model.network(x), source(x)) < 1e-5
    both = HEADS[name].get("concat_pool", True)
    assert model.spec.architecture.head_pool == ("max-average" if both else "average")
    norm_first = both and not ({"lin_first", "first_bn"} & HEADS[name].keys())
    assert any("(--head-pool)" in guess for guess in model.spec.assumed) is not norm_first  # which tells the order


@torch.inference_mode()
def test_the_norms_means_tell_which_half_is_the_maxima(usual, tmp_path):
    turned = {
        name: torch.cat([value[..., WIDTH:], value[..., :WIDTH]], -1)
        if name.startswith(("1.2.", "1.4.")) and value.ndim else value
        for name, value in usual.state_dict().items()
    }  # fmt: skip
    model = zoo.load(weights=saved(turned, tmp_path))
    assert model.spec.architecture.head_pool == "average-max"
    x = PIXELS.scaled(batch())
    assert relative(model.network(x), usual(x)) < 1e-5


@torch.inference_mode()
def test_a_file_in_half_precision_tells_it_too(usual, tmp_path):
    half = {name: value.half() if value.is_floating_point() else value for name, value in usual.state_dict().items()}
    assert checkpoint.read(saved(half, tmp_path)).inferred.told >= {"head_pool"}


def test_features_that_are_no_maxima_and_averages_are_left_aside(usual, tmp_path):
    """As those of two images: neither half of the means is the greater everywhere."""
    state = usual.state_dict()
    state["1.2.running_mean"] = state["1.2.running_mean"].flip(0)[torch.randperm(2 * WIDTH)]
    model = zoo.load(weights=saved(state, tmp_path))
    assert model.network.classifier is None
    assert any(guess.startswith("no head: ") for guess in model.spec.assumed)


def test_layers_that_may_lie_before_the_pool_are_refused(usual, tmp_path):
    for name, shape in {"0.8": (WIDTH, WIDTH, 1, 1), "neck": (WIDTH, WIDTH, 3, 3), "2": (2 * WIDTH, 2 * WIDTH)}.items():
        state = usual.state_dict() | {f"{name}.weight": torch.randn(shape)}
        with pytest.raises(WeightsError, match=r"may lie between its features and its head|go on into"):
            zoo.load(weights=saved(state, tmp_path))


TWICE = {"fc.weight": torch.randn(3, 2 * WIDTH), "fc.bias": torch.zeros(3)}
BESIDE = {
    "a head of two embeddings": TWICE,
    "a layer that widens": {"embedding.weight": torch.randn(2 * WIDTH, WIDTH), **TWICE},
    "a recurrent layer": {"lstm.weight_ih_l0": torch.randn(4 * WIDTH, WIDTH), **TWICE},
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_head_of_twice_the_width_that_something_else_may_feed_is_left_aside(name, tmp_path):
    state = {f"backbone.{own}": value for own, value in body().state_dict().items()} | BESIDE[name]
    assert not checkpoint.read(saved(state, tmp_path)).part.head


def test_such_a_head_is_read_where_it_is_asked_for_and_alone(tmp_path):
    state = {f"backbone.{own}": value for own, value in body().state_dict().items()}
    path = saved(state | TWICE, tmp_path)
    assert zoo.load(f"{path}?head=fc").spec.architecture.head_pool == "max-average"
    assert zoo.load(f"{path}?head=fc&head-pool=average-max").spec.architecture.head_pool == "average-max"
    with pytest.raises(FeatureError, match=r"--head-pool is 'max'\. Wanted one of max-average, average-max\."):
        zoo.load(f"{path}?head=fc&head-pool=max")
    path = saved(state | BESIDE["a layer that widens"], tmp_path)
    with pytest.raises(WeightsError, match="no head at 'fc'"):
        zoo.load(f"{path}?head=fc")


@torch.inference_mode()
def test_a_pool_that_is_said_is_taken(tmp_path):
    trunk = drawn(Narrow, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=7)
    torch.save(trunk.state_dict(), tmp_path / "net.pth")
    x = PIXELS.scaled(batch())
    maps = nn.Sequential(*list(trunk.children())[:-2])(x)
    for name, pooled in {"max": maps.amax((2, 3)), "mixed": (maps.amax((2, 3)) + maps.mean((2, 3))) / 2}.items():
        model = zoo.load(f"{tmp_path / 'net.pth'}?head-pool={name}")
        assert relative(model.network(x), trunk.fc(pooled)) < 1e-5
        assert not any("(--head-pool)" in guess for guess in model.spec.assumed)


@torch.inference_mode()
def test_a_file_of_our_own_keeps_its_pool(usual, tmp_path):
    model = zoo.load(weights=saved(usual.state_dict(), tmp_path))
    filling.save(model.network, tmp_path / "own.safetensors", card.describe(model.spec))
    again = zoo.load(weights=tmp_path / "own.safetensors")
    assert again.spec.architecture == model.spec.architecture
    x = PIXELS.scaled(batch())
    assert relative(again.network(x), usual(x)) < 1e-2  # half precision
    assert again.spec.assumed == ()


# --- timm -------------------------------------------------------------------------------------------------------------

KINDS = {"avg": "average", "fast": "average", "max": "max", "avgmax": "mixed", "catavgmax": "average-max"}


def timms(name: str = "resnet18", **settings) -> nn.Module:
    return randomise(timm.create_model(name, num_classes=3, **settings)).eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "kind"),
    [("model_args", "max"), ("global_pool", "avgmax"), ("global_pool", "fast"), ("pretrained_cfg", "catavgmax")],
)
@torch.inference_mode()
def test_timms_pools_are_read_wherever_its_config_says_them(kind, where, tmp_path):
    source = timms(global_pool=kind)
    timm.models.save_for_hf(source, str(tmp_path), {})
    config = json.loads((tmp_path / "config.json").read_text())
    config = {key: value for key, value in config.items() if key not in ("model_args", "global_pool")}
    config["pretrained_cfg"].pop("global_pool", None)
    said = {"global_pool": {"global_pool": kind}}.get(where, {where: {"global_pool": kind}})
    said = {"pretrained_cfg": config["pretrained_cfg"] | said["pretrained_cfg"]} if where == "pretrained_cfg" else said
    (tmp_path / "config.json").write_text(json.dumps(config | said))
    model = zoo.load(weights=tmp_path)
    assert model.spec.architecture.head_pool == KINDS[kind]
    x = PIXELS.scaled(batch())
    assert relative(model.network(x), source(x)) < 1e-5
    assert not any("(--head-pool)" in guess for guess in model.spec.assumed)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("skresnet18", "max"), ("skresnet18", "catavgmax"), ("resnetv2_50", "max")])
@torch.inference_mode()
def test_so_are_those_of_networks_that_timm_builds(name, kind, tmp_path):
    source = timms(name, global_pool=kind)
    timm.models.save_for_hf(source, str(tmp_path), {"model_args": {"global_pool": kind}})
    x = PIXELS.scaled(batch())
    assert relative(zoo.load(weights=tmp_path).network(x), source(x)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("said", ["avg", "gem"])
def test_a_config_that_contradicts_the_tensors_or_names_another_pool_is_refused(said, tmp_path):
    timm.models.save_for_hf(timms(global_pool="catavgmax"), str(tmp_path), {})
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"global_pool": said, "model_args": {}}))
    with pytest.raises(WeightsError, match=rf"a pool of the kind '{said}'.*num_classes=0"):
        zoo.load(weights=tmp_path)


@torch.inference_mode()
def test_timms_names_without_a_config_are_taken_as_timm_orders_them(tmp_path):
    source = timms(global_pool="catavgmax")
    torch.save(source.state_dict(), tmp_path / "net.pth")
    model = zoo.load(weights=tmp_path / "net.pth")
    x = PIXELS.scaled(batch())
    assert relative(model.network(x), source(x)) < 1e-5
    assert any(
        "averages followed by maxima over space before the head (--head-pool)" in each for each in model.spec.assumed
    )


# --- in memory --------------------------------------------------------------------------------------------------------


class Called(Narrow):
    """Code that calls its pools as functions."""

    def __init__(self, order: str, width: int) -> None:
        super().__init__(BasicBlock, [1, 1, 1, 1], 5)
        del self.avgpool
        self.order, self.fc = order, nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        averages, maxima = x.mean((2, 3)), functional.adaptive_max_pool2d(x, 1).flatten(1)
        made = {
            "max": maxima,
            "mixed": (averages + maxima) / 2,
            "max-average": torch.cat([maxima, averages], 1),
            "average-max": torch.cat([averages, maxima], 1),
        }
        return self.fc(made[self.order])


@pytest.mark.parametrize("order", ["max", "mixed", "max-average", "average-max"])
@torch.inference_mode()
def test_pools_that_code_calls_are_found_by_what_they_compute(order):
    width = WIDTH * (1 + ("-" in order))
    network = canonical(drawn(Called, order=order, width=width))
    assert architecture_of(network).head_pool == order


@pytest.mark.parametrize(
    ("pool", "width", "name"),
    [(nn.AdaptiveMaxPool2d(1), WIDTH, "max"), (AdaptiveConcatPool2d(), 2 * WIDTH, "max-average")],
    ids=["max", "max-average"],
)
@torch.inference_mode()
def test_a_pool_in_the_place_of_torchvisions_is_found(pool, width, name):
    source = drawn(Narrow, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=7)
    source.avgpool, source.fc = pool, nn.Linear(width, 7)
    network, x = canonical(source), PIXELS.scaled(batch())
    assert architecture_of(network).head_pool == name
    assert relative(network(x), source(x)) < 1e-5


@pytest.mark.parametrize("name", ["as usual", "lin_first", "averages alone"])
@torch.inference_mode()
def test_fastais_module_in_memory_is_read_as_its_file_is(name):
    source = learner(**HEADS[name])
    x = PIXELS.scaled(batch())
    network = canonical(source)
    assert relative(network(x), source(x)) < 1e-5
    assert network.head_pool == ("max-average" if HEADS[name].get("concat_pool", True) else "average")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "fast"])
@torch.inference_mode()
def test_timms_pools_in_memory_are_read(kind):
    source = timms(global_pool=kind)
    network = canonical(source)
    x = PIXELS.scaled(batch())
    assert relative(network(x), source(x)) < 1e-5
    assert architecture_of(network).head_pool == KINDS[kind]


def test_a_pool_to_more_than_one_place_is_refused():
    source = learner()
    source[1][0] = nn.AdaptiveAvgPool2d(2)
    with pytest.raises(FeatureError, match="one average over space"):
        canonical(source)


# --- engines and analyses ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(usual, tmp_path_factory):
    loaded = zoo.load(weights=saved(usual.state_dict(), tmp_path_factory.mktemp("fastai")))
    return replace(loaded, spec=replace(loaded.spec, preprocessing=PIXELS))


def features_of(source: nn.Sequential, x: Tensor) -> Tensor:
    return source[1][1](source[1][0](source[0](x)))


@pytest.mark.parametrize(
    "name", [engine.TORCH, pytest.param(engine.OPENVINO, marks=[pytest.mark.slow, pytest.mark.xdist_group("openvino")])]
)
@torch.inference_mode()
def test_engines_read_what_the_module_computes(name, model, usual):
    if name == engine.OPENVINO:
        pytest.importorskip("openvino")
    plan = engine.choose(model.network, ("layer4", POOLED, LOGITS), "mean", "fp32", "cpu", name)
    found = engine.start(model.network, PIXELS, plan)(batch())
    x = PIXELS.scaled(batch())
    assert relative(found[LOGITS], usual(x)) < 1e-5
    assert relative(found[POOLED], features_of(usual, x)) < 1e-5
    assert relative(found["layer4"], usual[0](x).mean((2, 3))) < 1e-5  # a stage's features stay the mean over space


@torch.inference_mode()
def test_so_does_what_a_cuda_graph_is_captured_of(model, usual):
    for dtype, bound in ((torch.float32, 1e-5), (torch.bfloat16, 0.1)):
        fast = FastNetwork(model.network, PIXELS, dtype, torch.device("cpu"))
        pooled, logits = cuda_graphs.Outputs(fast, (POOLED,), "mean")(batch())
        x = PIXELS.scaled(batch())
        assert pooled.dtype == logits.dtype == torch.float32
        assert relative(pooled, features_of(usual, x)) < bound
        assert relative(logits, usual(x)) < bound


@torch.inference_mode()
def test_features_of_a_set_are_as_wide_as_the_pool_makes_them(model, usual, tmp_path):
    pictures = [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in batch()]
    images = ImageSet("noise", ("a", "b", "c"), None, (), "0" * 64, lambda index: pictures[index])
    plan = engine.choose(model.network, ("layer4", POOLED), "mean", "fp32", "cpu", engine.TORCH)
    finish(extract.to_folder(model, images, plan, tmp_path / "features"))
    found = store.open_features(tmp_path / "features")
    assert found.stages[POOLED].shape == (3, 2 * WIDTH)
    assert found.stages["layer4"].shape == (3, WIDTH)
    assert relative(found.stages[POOLED], features_of(usual, PIXELS.scaled(batch()))) < 1e-5


def by_autograd(source: nn.Sequential, stage: int, index: int) -> tuple[Tensor, Tensor]:
    """A stage's output (N, C, H, W) and a logit's gradient there, by a graph of the module that wrote the file."""
    x = source[0][:stage](PIXELS.scaled(batch())).detach().requires_grad_()
    source[1](source[0][stage:](x))[:, index].sum().backward()
    return x.detach(), x.grad


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam"])
@pytest.mark.parametrize(("tap", "stage"), [("layer4", 8), ("layer3", 7), ("layer1", 5)])
def test_maps_are_those_of_autograd_on_the_module(tap, stage, method, model, usual):
    values, gradient = by_autograd(usual, stage, 2)
    weights = {
        "gradcam": gradient.mean((2, 3), keepdim=True),
        "hirescam": gradient,
        "layercam": gradient.relu(),
    }[method]
    found = Explainer(model).maps(batch(), [ClassTarget(2)] * 3, method, [Tap(tap)]).maps[Tap(tap)]
    assert relative(found, (weights * values).sum(1)) < 1e-4


def test_every_class_at_once_is_grad_cam_of_each(model):
    explainer = Explainer(model)
    found = explainer.every_class(batch())
    for index in range(5):
        wanted = explainer.maps(batch(), [ClassTarget(index)] * 3, "gradcam", [Tap("layer4")]).maps[Tap("layer4")]
        assert relative(found[:, index], torch.from_numpy(wanted)) < 1e-4


@pytest.mark.slow
def test_integrated_gradients_sum_to_the_difference_of_the_modules_logits(model, usual):
    explainer = Explainer(model)
    found = finish(saliency.explain(explainer, batch(1), [ClassTarget(2)], "integrated-gradients"))
    grey = explainer.mean_colour.expand(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        logits = usual(PIXELS.scaled(torch.cat([batch(1).float(), grey])))[:, 2]
    ((_, values),) = found.maps.items()
    assert float(values.sum()) == pytest.approx(float(logits[0] - logits[1]), rel=0.05, abs=0.02)


def test_a_model_in_memory_tells_its_pool_in_words(usual):
    model = memory.model_of(usual, PIXELS, ("a", "b", "c", "d", "e"))
    assert "maxima followed by averages over space before the head" in model.spec.architecture.describe()
